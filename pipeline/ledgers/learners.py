"""Learners, as the newest event shows them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipeline.ledgers import bulk
from pipeline.models import Learner

PERSONAL = ("username", "email", "name")
FROM_EVENTS = (*PERSONAL, "active", "as_of", "as_of_event")

LONGEST_USERNAME = 255
"""Characters kept of a username, which is indexed; an LMS allows 150.  The event keeps the whole."""


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any event."""


class Seen(NamedTuple):
    """What an event says of a learner: its `UserData`, the time at which that was so, and the event's id."""

    user: Mapping[str, Any]
    time: datetime
    event: uuid.UUID


def update(batch: Sequence[Seen]) -> dict[int, Learner]:
    """The learners that these events describe, by LMS user id, locked until the end of the transaction.  May be repeated.

    1. Insert those there are none of.
    2. Lock the learners' rows: one learner's events are persisted one after the other, so their badges see each other.
       All at once and always in the same order, so that two who lock several never wait for one another.
    3. Take over the values of an event that (by time, then id) is newer than the one they came from; never again the
       username, e-mail and name of a retired learner.

    Args:
        batch: at most one of each learner.
    """
    seen = {each.user["id"]: each for each in batch}
    rows = Learner.objects.filter(lms_user_id__in=seen)
    missing = seen.keys() - set(rows.values_list("lms_user_id", flat=True))
    Learner.objects.bulk_create(
        [Learner(lms_user_id=key, **_values(seen[key])) for key in sorted(missing)], ignore_conflicts=True
    )
    learners = {learner.lms_user_id: learner for learner in rows.select_for_update().order_by("lms_user_id")}
    newer = [learner for key, learner in learners.items() if _is_newer(seen[key], learner)]
    for learner in newer:
        _take_over(learner, seen[learner.lms_user_id])
    Learner.objects.bulk_update(newer, FROM_EVENTS, batch_size=bulk.UPDATED_AT_ONCE)
    return learners


def _is_newer(seen: Seen, learner: Learner) -> bool:
    return (seen.time, seen.event) > (learner.as_of, learner.as_of_event)


def _take_over(learner: Learner, seen: Seen) -> None:
    values = _values(seen)
    if learner.retired_at:
        values = {field: value for field, value in values.items() if field not in PERSONAL}
    for field, value in values.items():
        setattr(learner, field, value)


def _values(seen: Seen) -> dict[str, Any]:
    pii = seen.user["pii"]
    return {
        "username": pii["username"][:LONGEST_USERNAME],
        "email": pii["email"],
        "name": pii.get("name") or "",
        "active": seen.user["is_active"],
        "as_of": seen.time,
        "as_of_event": seen.event,
    }
