"""housekeeping: what is due at every stage, read from the database alone."""

import uuid
from dataclasses import dataclass

from pipeline.ledgers import claims, inbox
from pipeline.models import Badge, Signal

AT_ONCE = 1000
"""Rows of a kind that one housekeeping names: more wait for the next, seconds later."""


@dataclass(frozen=True)
class Due:
    """Ids to nudge."""

    events: list[uuid.UUID]
    badges: list[int]
    signals: list[int]


def due() -> Due:
    """Everything that is due and was not nudged of late.  May be repeated: a nudge too many is harmless."""
    return Due(
        events=inbox.due(AT_ONCE),
        badges=claims.due(Badge, AT_ONCE),
        signals=claims.due(Signal, AT_ONCE),
    )
