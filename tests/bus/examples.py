"""Single events, written out."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from openedx_events.data import EventsMetadata
from openedx_events.learning.signals import BADGE_AWARDED, COURSE_PASSING_STATUS_UPDATED

from pipeline.bus.codec import encode, event_data_for

PASSING = COURSE_PASSING_STATUS_UPDATED.event_type
AWARDED = BADGE_AWARDED.event_type
TIME = datetime(2026, 8, 1, 12, 30, tzinfo=UTC)
ID = UUID("6f1e2a52-43a6-4b07-9a3f-0b0a3c1f7f55")

USER: dict[str, Any] = {
    "id": 7,
    "is_active": True,
    "pii": {"username": "ada", "email": "ada@example.org", "name": "Ada Lovelace"},
}
PASSED: dict[str, Any] = {
    "is_passing": True,
    "course": {"course_key": "course-v1:A+B+C", "display_name": "Course", "start": TIME.isoformat(), "end": None},
    "user": USER,
}
BADGE: dict[str, Any] = {
    "uuid": "3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21",
    "user": USER,
    "template": {
        "uuid": "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02",
        "origin": "credly",
        "name": "Intro",
        "description": "Done",
        "image_url": "https://example.org/i.png",
    },
}


def fields(payload: dict[str, Any] = PASSED, **changes: bytes | None) -> dict[bytes, bytes]:
    """A passing-status message; ``changes`` replace fields, None removes one."""
    signal = COURSE_PASSING_STATUS_UPDATED
    metadata = EventsMetadata(event_type=PASSING, id=ID, time=TIME, source="openedx/lms/web")
    message = encode(signal, event_data_for(signal, payload), metadata)
    changed = message | {name.encode(): value for name, value in changes.items() if value is not None}
    return {name: value for name, value in changed.items() if changes.get(name.decode(), b"") is not None}
