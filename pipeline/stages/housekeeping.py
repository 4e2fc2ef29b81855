"""housekeeping: what is due at every stage, read from the database alone."""

import uuid
from dataclasses import dataclass

from pipeline.ledgers import claims, holdings, inbox, webhooks
from pipeline.models import Signal

AT_ONCE = 2000
"""Rows of a kind that one housekeeping names: more wait for the next, seconds later."""


@dataclass(frozen=True)
class Due:
    """Ids to nudge."""

    events: list[uuid.UUID]
    badges: list[int]
    signals: list[int]
    webhooks: list[int]


def due() -> Due:
    """Everything that is due and was not nudged of late.  May be repeated: a nudge too many is harmless."""
    return Due(
        events=inbox.due(AT_ONCE),
        badges=holdings.named_due(AT_ONCE),
        signals=claims.due(Signal.objects.all(), AT_ONCE),
        webhooks=webhooks.named_due(AT_ONCE),
    )
