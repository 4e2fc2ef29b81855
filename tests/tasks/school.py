"""A school whose learners earn badges: its configuration in the tables and at the emulated Credly, and its events."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers import inbox
from pipeline.lms.events import PASSING, LmsLearner, passing_event
from pipeline.models import Badge, Event, Organization, Signal, Template
from tests.credly.emulated_credly import EmulatedCredly

TOPIC = "learning-badges-lifecycle"
COURSE = "course-v1:OpenedX+DemoX+Demo_Course"
START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class School:
    """One template, whose badge takes passing one course."""

    def __init__(self, credly: EmulatedCredly) -> None:
        self.credly = credly
        self.academy = credly.academy()
        self._numbers = count(1)
        organization = Organization.objects.create(uuid=self.academy.organization, api_key=self.academy.key)
        template = Template.objects.create(
            uuid=self.academy.template, organization=organization, name="Intro Course", active=True
        )
        requirement = template.requirements.create(slug="demo", event_type=PASSING)
        requirement.rules.create(data_path="is_passing", value="true")
        requirement.rules.create(data_path="course.course_key", value=COURSE)

    def learner(self) -> LmsLearner:
        number = next(self._numbers)
        return LmsLearner(
            number, f"username-{number}", f"learner-{number}@learners.example", f"Dana-{number} Moe-{number}"
        )

    def passes(self, learner: LmsLearner | None = None, **changes: Any) -> uuid.UUID:
        """Store the event that a learner (a new one) passed the course; `changes` replace fields of the message."""
        return self.store([self.message(learner, **changes)])[0]

    def message(self, learner: LmsLearner | None = None, **changes: Any) -> DecodedMessage:
        event = passing_event(learner or self.learner(), COURSE, True, START)
        fields: dict[str, Any] = {
            "id": event.id,
            "type": event.type,
            "time": event.time,
            "source": "openedx/lms/web",
            "minorversion": 0,
            "payload": event.payload,
            "position": "1-0",
        }
        return DecodedMessage(**(fields | changes))

    def store(self, messages: Iterable[DecodedMessage]) -> list[uuid.UUID]:
        return inbox.store(list(messages), TOPIC)

    def fault(self, preset: str | None = None, **fields: Any) -> None:
        """Make Credly behave badly towards this school."""
        self.credly.fault(preset, match={"organization": self.academy.organization}, **fields)

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The calls that Credly got for this school."""
        return self.credly.requests(organization=self.academy.organization, method=method)

    def issued(self) -> list[str]:
        """The LMS user ids of those for whom Credly ever issued a badge, one for each badge."""
        badges = self.credly.ledger(organization=self.academy.organization)
        return sorted(badge["issuer_earner_id"] for badge in badges)


def status(event: uuid.UUID) -> str:
    return str(Event.objects.get(pk=event).status)


def nothing_waits() -> bool:
    """Whether every event is done with, and every badge and signal."""
    waiting = (Event.objects.filter(status="received"), Badge.objects.filter(due_at__isnull=False))
    return not any(rows.exists() for rows in (*waiting, Signal.objects.filter(state="pending")))
