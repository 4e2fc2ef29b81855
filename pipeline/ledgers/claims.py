"""Claiming rows with due work: one worker at a time, and nobody for long.

There are no locks to hold: the conditional UPDATE is the claim, and it ends by itself.
"""

import random
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Model, Q, QuerySet
from django.utils import timezone

CLAIM_LASTS = timedelta(seconds=40)
"""Longer than any one call (33 s at the worst: 3 to connect, 20 for the answer, 10 for its last piece), short enough that
work goes on within a minute after its worker was killed.  Who makes several calls renews it before each."""

MOST_TAKEN_UP = 4
"""What was taken up this often in a row without a result is set aside: its worker dies of it, or our own code fails."""

SUSPECT_FROM = 2
"""What was taken up this often without a result may be what kills its worker."""

NUDGE_AGAIN_AFTER = timedelta(seconds=30)
"""How long housekeeping trusts that a nudged row is on its way through the queue."""

FIRST_WAIT = 2.0
"""Seconds before the second attempt."""

LONGEST_WAIT = 600.0
"""Seconds between attempts at the most: after an outage of days everything goes on within ten minutes."""


def free(now: datetime) -> Q:
    """Rows that are due and that nobody works on."""
    return Q(due_at__lte=now) & (Q(claimed_until=None) | Q(claimed_until__lte=now))


def take(row: Model, **seen_and_set: tuple[Any, Any]) -> uuid.UUID | None:
    """Claim a row that is due; returns the claim's token, or None if somebody else has it or it changed.

    It counts as taken up until a result is recorded: should the worker die, this remains.

    Args:
        row: a `DueWork` row as it was read.
        seen_and_set: per field the value it was read with, which must still be there, and the value to set.
    """
    now = timezone.now()
    token = uuid.uuid4()
    seen = {field: before for field, (before, _) in seen_and_set.items()}
    changes = {field: after for field, (_, after) in seen_and_set.items()}
    won = (
        type(row)
        ._default_manager.filter(free(now), pk=row.pk, **seen)
        .update(
            claim=token,
            claimed_until=now + CLAIM_LASTS,
            nudged_at=None,
            attempts=F("attempts") + 1,
            taken_up=F("taken_up") + 1,
            **changes,
        )
    )
    return token if won else None


def take_all(keys: Collection[int], rows: QuerySet[Any]) -> uuid.UUID:
    """Claim those of these rows that are due and that nobody has, under one token; each counts as taken up, as in `take`.

    Args:
        keys: their primary keys.
        rows: what they must still be among.
    """
    now = timezone.now()
    token = uuid.uuid4()
    rows.filter(free(now), pk__in=keys).update(
        claim=token,
        claimed_until=now + CLAIM_LASTS,
        nudged_at=None,
        attempts=F("attempts") + 1,
        taken_up=F("taken_up") + 1,
    )
    return token


def due(rows: QuerySet[Any], limit: int) -> list[int]:
    """Those of these rows to nudge, oldest first, at most `limit`; each again after `NUDGE_AGAIN_AFTER` at the earliest."""
    now = timezone.now()
    not_nudged = Q(nudged_at=None) | Q(nudged_at__lte=now - NUDGE_AGAIN_AFTER)
    with transaction.atomic():
        to_nudge = unlocked(rows).filter(free(now), not_nudged)
        named = list(to_nudge.order_by("due_at").values_list("pk", flat=True)[:limit])
        rows.model._default_manager.filter(pk__in=named).update(nudged_at=now)
    return named


def unlocked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock those of these rows that nobody has locked, and leave out the others; in a transaction.

    Who writes to many rows that others also lock must not wait for one with locks on others in hand.
    """
    features = connection.features
    if features.has_select_for_update and not features.has_select_for_update_of:
        # MariaDB locks joined rows too, and leaves out a badge whose template somebody else's insertion holds.
        rows = rows.model._default_manager.filter(pk__in=rows.values("pk"))
    return rows.select_for_update(skip_locked=True, of=("self",) if features.has_select_for_update_of else ())


def wait(attempts: int) -> timedelta:
    """How long to wait after that many failed attempts: doubling, with jitter so that many do not come back at once."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts - 1, 20))
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - no secret
