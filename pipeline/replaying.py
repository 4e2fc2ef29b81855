"""Running stored events again, in chunks that leave room for those that come in meanwhile."""

import uuid
from collections.abc import Sequence

from django.db import transaction

from pipeline import nudges
from pipeline.ledgers import inbox
from pipeline.models import Event, EventStatus

AT_ONCE = 500
"""Events per chunk: one transaction and one message, so live events wait for no more than these."""


def replay(events: Sequence[uuid.UUID]) -> int:
    """Have one chunk of events that ended run again; returns how many could be.  May be repeated.

    Failed ones go each by itself: they may be what kills a worker, and must take no other along.
    """
    with transaction.atomic():
        alone = inbox.redrive(events)
        together = inbox.replay(events)
        nudges.evaluate_alone(alone)
        nudges.evaluate(together)
    return len(alone) + len(together)


def redrive(events: Sequence[uuid.UUID]) -> int:
    """Have the failed ones of one chunk of events run again; returns how many could be.  May be repeated."""
    with transaction.atomic():
        ready = inbox.redrive(events)
        nudges.evaluate_alone(ready)
    return len(ready)


def waiting(events: Sequence[uuid.UUID]) -> int:
    """How many of these events are still to be evaluated and persisted."""
    return Event.objects.filter(pk__in=events, status=EventStatus.RECEIVED).count()
