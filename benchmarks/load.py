"""Events as the LMS puts them on the bus, made before the clock starts."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from pipeline.bus.codec import encode
from pipeline.embedded.system import TOPIC
from pipeline.lms.events import passing_event
from pipeline.lms.generation import made_up_learner

Message = dict[bytes, bytes]
"""The fields of one entry of the stream."""

ELSEWHERE = "course-v1:Bench+Elsewhere+2026"
"""A course that no template asks for: its events are ignored."""

AT_ONCE = 1000


def course(number: int) -> str:
    """The course that template `number` asks for, from 1."""
    return f"course-v1:Bench+Course{number}+2026"


def template_id(organization: str, number: int) -> uuid.UUID:
    """The id of template `number`, at Credly and here."""
    return uuid.uuid5(uuid.UUID(organization), str(number))


def messages(number: int, courses: Sequence[str] = (ELSEWHERE,), first_learner: int = 1) -> list[Message]:
    """As many learners each pass one course; the courses come in turn."""
    now = datetime.now(UTC)
    made = []
    for each in range(number):
        event = passing_event(made_up_learner(first_learner + each), courses[each % len(courses)], True, now)
        made.append(encode(event.signal, event.data, event.metadata))
    return made


def again(known: Sequence[Message]) -> list[Message]:
    """The same said by new events."""
    return [{**message, b"id": str(uuid.uuid4()).encode()} for message in known]


def publish(bus: Redis, made: Sequence[Message]) -> bytes:
    """Put them on the bus; returns the last one's position."""
    positions: list[Any] = []
    for start in range(0, len(made), AT_ONCE):
        pipe = bus.pipeline(transaction=False)
        for message in made[start : start + AT_ONCE]:
            pipe.xadd(TOPIC, message)  # type: ignore[arg-type]
        positions = pipe.execute()
    return bytes(positions[-1])
