"""A learner with a name like nobody else's, known in every corner of the database."""

from typing import Any
from uuid import uuid4

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from pipeline.bus.codec import UndecodableMessage, decode_raw, encode_raw
from pipeline.ledgers import inbox
from pipeline.lms.events import CCX_PASSING, LmsEvent, LmsLearner
from pipeline.models import (
    Badge,
    BadgeHistory,
    Event,
    EventStatus,
    Fulfillment,
    Learner,
    Occurrence,
    Progress,
    Signal,
    Webhook,
)
from tests.ledgers.builders import (
    TOPIC,
    at,
    course_template,
    deliver,
    lms_learner,
    passes,
    received,
    requirement,
)

EXAM = "org.openedx.learning.exam.attempt.submitted.v1"
VERIFICATION = "org.openedx.learning.idv_attempt.approved.v1"
ENROLLMENT = "org.openedx.learning.course.enrollment.created.v1"
KEY = "course-v1:OpenedX+wilhelmina+2026"

TRACES = ("wilhelmina", "quist", "mina@", "minaq")
"""What no row may hold after the retirement, in any case."""

TABLES: list[type[Model]] = [Learner, Event, Fulfillment, Occurrence, Badge, BadgeHistory, Signal, Webhook, LogEntry]


def mina(**fields: Any) -> LmsLearner:
    given = {"username": "wilhelminaq", "email": "Mina@People.example"}
    return lms_learner("Wilhelmina Quist", **given | fields)


def user(who: LmsLearner) -> dict[str, Any]:
    """`UserData`."""
    return {
        "id": who.id,
        "is_active": True,
        "pii": {"username": who.username, "email": who.email, "name": who.name},
    }


def exam_of(student: LmsLearner, requested_by: LmsLearner, minute: float) -> LmsEvent:
    payload = {
        "student_user": user(student),
        "course_key": KEY,
        "usage_key": "block-v1:OpenedX+DemoX+Demo_Course+type@sequential+block@exam",
        "exam_type": "proctored",
        "requesting_user": user(requested_by),
    }
    return LmsEvent(EXAM, uuid4(), at(minute), payload)


def verification_of(who: LmsLearner, minute: float) -> LmsEvent:
    payload = {"attempt_id": 7, "user": user(who), "status": "approved", "name": who.name, "expiration_date": None}
    return LmsEvent(VERIFICATION, uuid4(), at(minute), payload)


def custom_course_of(student: LmsLearner, coach: LmsLearner, minute: float) -> LmsEvent:
    event = passes(student, minute, "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1")
    assert event.type == CCX_PASSING
    event.payload["course"]["coach_email"] = coach.email
    return event


def unreadable(text: str) -> UndecodableMessage:
    """A message whose data only begin as they should."""
    raw = encode_raw({b"type": b"what.ever", b"event_data": b"\x01\x16" + text.encode() + b"\xff"})
    return UndecodableMessage(id=uuid4(), type="what.ever", position="9-0", raw=raw, reason="Not what it should be.")


def story(who: LmsLearner) -> Badge:
    """Everything that can be remembered of a learner is; returns the badge, which nobody has issued yet."""
    template = course_template()
    requirement(template, "by-mail", ("user.pii.email", "eq", who.email))
    earlier = mina(id=who.id, username="minaq.before", email="quist.before@people.example")
    deliver(passes(earlier, 1), passes(who, 2))
    verified = requirement(template, "verified", type=VERIFICATION, group="A", count=2, distinct="name")
    Occurrence.objects.create(
        progress=Progress.objects.get(), requirement=verified, event=uuid4(), time=at(3), value=who.name, fulfills=True
    )
    other = lms_learner("Dana Moe")
    received(verification_of(who, 3), exam_of(other, who, 4), custom_course_of(other, who, 5))
    inbox.store([unreadable(who.username), unreadable(f"x{who.email}"), unreadable("somebody else")], TOPIC)
    [broken] = received(passes(other, 6))
    Event.objects.filter(pk=broken).update(
        status=EventStatus.FAILED, error=f"KeyError: {who.email}", note=f"See {who.email.upper()}."
    )
    badge = Badge.objects.get(learner__lms_user_id=who.id)
    Badge.objects.filter(pk=badge.pk).update(
        error=f"Credly says: {who.name} is blocked", revocation_reason=f"{who.username.upper()} asked for it"
    )
    BadgeHistory.objects.create(badge=badge, what="issue", outcome=f"refused: {who.email.lower()} bounced")
    payload = {"uuid": str(badge.uuid), "user": user(who), "template": {"uuid": str(template.uuid)}}
    Signal.objects.create(
        badge=badge, event_type="told", payload=payload, error=f"TypeError: {who.name}", created_at=at(7), due_at=at(7)
    )
    Webhook.objects.create(
        organization=template.organization,
        event=uuid4(),
        event_type="badge",
        outcome=f"Of {who.email}.",
        state="handled",
    )
    staff = User.objects.create_user("somebody-of-the-staff")
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(Badge),
        object_id=str(badge.pk),
        object_repr=str(badge),
        action_flag=2,
        change_message=f"Revoked: {who.username} asked for it.",
    )
    return badge


def naming() -> dict[str, set[Any]]:
    """The rows that name the learner: keys by table."""
    found: dict[str, set[Any]] = {}
    for table in TABLES:
        for row in table._default_manager.values():
            text = " ".join(_text(value) for value in row.values()).lower().replace(KEY.lower(), "")
            if any(trace in text for trace in TRACES):
                found.setdefault(table.__name__, set()).add(row[table._meta.pk.attname])
    return found


def _text(value: Any) -> str:
    """A value as it would be found by somebody who looks, the parts of an unreadable message unpacked."""
    if isinstance(value, bytes | memoryview):
        return " ".join(str(part) for part in decode_raw(bytes(value)).values()) if value else ""
    return str(value)
