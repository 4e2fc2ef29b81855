"""Learner events as the LMS makes them: whether a grade is enough to pass a course."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ccx_keys.locator import CCXLocator
from django.dispatch import Signal
from opaque_keys.edx.locator import CourseLocator
from openedx_events.data import EventsMetadata
from openedx_events.learning.signals import CCX_COURSE_PASSING_STATUS_UPDATED, COURSE_PASSING_STATUS_UPDATED
from openedx_events.tooling import SIGNAL_PROCESSED_FROM_EVENT_BUS, OpenEdxPublicSignal

from pipeline.bus.catalogue import find_signal
from pipeline.bus.codec import event_data_for
from pipeline.bus.topics import enabled_topics
from pipeline.lms.delivery import failures_raised

PASSING: str = COURSE_PASSING_STATUS_UPDATED.event_type
CCX_PASSING: str = CCX_COURSE_PASSING_STATUS_UPDATED.event_type


class NotPublished(Exception):
    """The LMS publishes no events of this type."""


@dataclass(frozen=True)
class LmsLearner:
    """A learner as the LMS knows them; ``id`` is the LMS user id."""

    id: int
    username: str
    email: str
    name: str


@dataclass(frozen=True)
class LmsEvent:
    """An event before it is published: ``payload`` is plain data, exactly as a consumer decodes it.

    ``time`` has a time zone.
    """

    type: str
    id: UUID
    time: datetime
    payload: dict[str, Any]

    @property
    def signal(self) -> OpenEdxPublicSignal:
        """The signal that carries it. Raises KeyError when there is no such event type."""
        signal = find_signal(self.type)
        if signal is None:
            raise KeyError(self.type)
        return signal

    @property
    def data(self) -> dict[str, Any]:
        """What the signal is sent with; raises as `pipeline.bus.codec.event_data_for` does."""
        return event_data_for(self.signal, self.payload)

    @property
    def metadata(self) -> EventsMetadata:
        """Its metadata, from the LMS."""
        return EventsMetadata(
            event_type=self.type,
            id=self.id,
            minorversion=self.signal.minor_version,
            source="openedx/lms/web",
            time=self.time.astimezone(UTC),
        )


def course_key(text: str) -> CourseLocator:
    """The key of a course.  That of a library is a `CourseKey` too, but nobody passes a library.

    Raises:
        opaque_keys.InvalidKeyError: it is none.
    """
    key: CourseLocator = CourseLocator.from_string(text)
    return key


def passing_event(learner: LmsLearner, course: str, passing: bool, time: datetime, id: UUID | None = None) -> LmsEvent:
    """The event that a learner's grade is enough (``passing``) or not for a course.

    A course key that begins with ``ccx-v1:`` is that of a custom course and makes a CCX event. ``id`` defaults to a
    new one. Raises opaque_keys.InvalidKeyError when ``course`` is no course key.
    """
    key = course_key(course)
    custom = isinstance(key, CCXLocator)
    payload = {
        "is_passing": passing,
        "course": _custom_course(key) if custom else _course(key),
        "user": {
            "id": learner.id,
            "is_active": True,
            "pii": {"username": learner.username, "email": learner.email, "name": learner.name},
        },
    }
    return LmsEvent(CCX_PASSING if custom else PASSING, id or uuid4(), time, payload)


def send(event: LmsEvent) -> None:
    """Publish an event as the LMS does: send its signal, on which openedx-events calls the configured producer.

    The signal's own method for a given metadata marks the event as one that came from the bus, which is then not
    published; hence Django's. May be repeated: consumers drop the repetition by the event's id.

    Raises:
        NotPublished: no topic is enabled for the type in ``EVENT_BUS_PRODUCER_CONFIG``.
        pipeline.bus.unavailable.BusUnavailable: the bus did not take the event.
    """
    if not enabled_topics(event.type):
        raise NotPublished(f"EVENT_BUS_PRODUCER_CONFIG enables no topic for events of type {event.type}.")
    origin = {SIGNAL_PROCESSED_FROM_EVENT_BUS: False}
    with failures_raised():
        Signal.send(event.signal, sender=None, metadata=event.metadata, **origin, **event.data)


def _course(key: CourseLocator) -> dict[str, Any]:
    return {"course_key": str(key), "display_name": key.course, "start": None, "end": None}


def _custom_course(key: CCXLocator) -> dict[str, Any]:
    return {
        "ccx_course_key": str(key),
        "master_course_key": str(key.to_course_locator()),
        "display_name": f"{key.course} {key.ccx}",
        "coach_email": "",
        "start": None,
        "end": None,
        "max_students_allowed": None,
    }
