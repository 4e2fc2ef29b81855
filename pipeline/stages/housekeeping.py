"""housekeeping: what is due at every stage, read from the database alone."""

import uuid
from dataclasses import dataclass, field

from pipeline.ledgers import backfills, claims, holdings, inbox, webhooks
from pipeline.ledgers.backfills import Turn
from pipeline.models import Signal
from pipeline.stages import clock_change
from pipeline.stages.recheck import lost_rechecks

AT_ONCE = 2000
"""Rows of a kind that one housekeeping names: more wait for the next, seconds later."""


@dataclass(frozen=True)
class Due:
    """Ids to nudge."""

    events: list[uuid.UUID]
    badges: list[int]
    signals: list[int]
    webhooks: list[int]
    rechecks: list[int] = field(default_factory=list)
    backfills: list[Turn] = field(default_factory=list)


def due() -> Due:
    """Everything that is due and was not nudged of late.  May be repeated: a nudge too many is harmless.

    1. If the wall clock was set, put right the times that it wrote.
    2. Name what is due, and note that it is nudged.
    """
    clock_change.notice()
    return Due(
        events=inbox.due(AT_ONCE),
        badges=holdings.named_due(AT_ONCE),
        signals=claims.due(Signal.objects.all(), AT_ONCE),
        webhooks=webhooks.named_due(AT_ONCE),
        rechecks=lost_rechecks(AT_ONCE),
        backfills=backfills.due(),
    )
