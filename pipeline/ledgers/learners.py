"""Learners, as the newest event shows them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.models import Learner

PERSONAL = ("username", "email", "name")

LONGEST_USERNAME = 255
"""Characters kept of a username, which is indexed; an LMS allows 150.  The event keeps the whole."""


def update(user: Mapping[str, Any], time: datetime, event: uuid.UUID) -> Learner:
    """The learner that an event's `UserData` describes, locked until the end of the transaction.  May be repeated.

    1. Lock the learner's row: one learner's events are persisted one after the other, so their badges see each other.
    2. If there is none insert it, and lock that.
    3. Take over the values if the event (by time, then id) is newer than the one they came from; never again the username,
       e-mail and name of a retired learner.
    """
    pii = user["pii"]
    values = {
        "username": pii["username"][:LONGEST_USERNAME],
        "email": pii["email"],
        "name": pii.get("name") or "",
        "active": user["is_active"],
        "as_of": time,
        "as_of_event": event,
    }
    known = Learner.objects.select_for_update().filter(lms_user_id=user["id"])
    learner = known.first()
    if learner is None:
        Learner.objects.bulk_create([Learner(lms_user_id=user["id"], **values)], ignore_conflicts=True)
        learner = known.get()
    if learner.retired_at:
        values = {field: value for field, value in values.items() if field not in PERSONAL}
    if (time, event) > (learner.as_of, learner.as_of_event):
        for field, value in values.items():
            setattr(learner, field, value)
        learner.save(update_fields=list(values))
    return learner
