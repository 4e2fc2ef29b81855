"""Learners, as the newest event shows them."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.models import Learner

PERSONAL = ("username", "email", "name")

LONGEST_USERNAME = 255
"""Characters kept of a username, which is indexed; an LMS allows 150.  The event keeps the whole."""


class Seen(NamedTuple):
    """What an event says of a learner: its `UserData`, its time and its id."""

    user: Mapping[str, Any]
    time: datetime
    event: uuid.UUID


def update(batch: Sequence[Seen]) -> dict[int, Learner]:
    """The learners that these events describe, by LMS user id, locked until the end of the transaction.  May be repeated.

    1. Lock the learners' rows: one learner's events are persisted one after the other, so their badges see each other.
       Always in the same order, so that two who lock several never wait for one another.
    2. Insert those there are none of, and lock them.
    3. Take over the values of an event that (by time, then id) is newer than the one they came from; never again the
       username, e-mail and name of a retired learner.

    Args:
        batch: at most one of each learner.
    """
    seen = {each.user["id"]: each for each in batch}
    learners = _locked(seen)
    missing = seen.keys() - learners.keys()
    if missing:
        Learner.objects.bulk_create(
            [Learner(lms_user_id=key, **_values(seen[key])) for key in sorted(missing)], ignore_conflicts=True
        )
        learners |= _locked(missing)
    for key, learner in learners.items():
        _take_over(learner, seen[key])
    return learners


def _locked(lms_user_ids: Collection[int]) -> dict[int, Learner]:
    rows = Learner.objects.select_for_update().filter(lms_user_id__in=lms_user_ids).order_by("lms_user_id")
    return {learner.lms_user_id: learner for learner in rows}


def _take_over(learner: Learner, seen: Seen) -> None:
    if (seen.time, seen.event) <= (learner.as_of, learner.as_of_event):
        return
    values = _values(seen)
    if learner.retired_at:
        values = {field: value for field, value in values.items() if field not in PERSONAL}
    for field, value in values.items():
        setattr(learner, field, value)
    learner.save(update_fields=list(values))


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
