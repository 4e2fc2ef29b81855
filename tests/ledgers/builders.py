"""Plain builders of what the ledgers hold: learners, events, a configured template, badges, signals."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from pipeline import stages
from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers import holdings, inbox, outbox
from pipeline.ledgers.holdings import Claim
from pipeline.lms.events import PASSING, LmsEvent, LmsLearner, passing_event
from pipeline.models import (
    Badge,
    Event,
    Learner,
    Organization,
    Penalty,
    PenaltyRule,
    Requirement,
    RequirementRule,
    Signal,
    Template,
)

TOPIC = "learning-badges-lifecycle"
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEMO = "course-v1:OpenedX+DemoX+Demo_Course"
MATH = "course-v1:OpenedX+Math+2026"

PASSED = ("is_passing", "eq", "true")
FAILED = ("is_passing", "eq", "false")

_numbers = count(1)


def at(minute: float) -> datetime:
    """A time of the story."""
    return START + timedelta(minutes=minute)


def course(key: str) -> tuple[str, str, str]:
    return ("course.course_key", "eq", key)


def lms_learner(name: str = "Dana Moe", **fields: Any) -> LmsLearner:
    number = next(_numbers)
    given = {"id": number, "username": f"learner{number}", "email": f"learner{number}@learners.example", "name": name}
    return LmsLearner(**given | fields)


def passes(who: LmsLearner, minute: float, key: str = DEMO, id: UUID | None = None) -> LmsEvent:
    return passing_event(who, key, True, at(minute), id)


def fails(who: LmsLearner, minute: float, key: str = DEMO, id: UUID | None = None) -> LmsEvent:
    return passing_event(who, key, False, at(minute), id)


def message(event: LmsEvent, position: str = "1-0", **changes: Any) -> DecodedMessage:
    """The event as the consumer decodes it."""
    fields = {
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "source": "openedx/lms/web",
        "minorversion": 1,
        "payload": event.payload,
        "position": position,
    }
    return DecodedMessage(**fields | changes)


def received(*events: LmsEvent) -> list[UUID]:
    """Put events into the inbox; all their ids."""
    inbox.store([message(event, f"{number}-0") for number, event in enumerate(events, start=1)], TOPIC)
    return [event.id for event in events]


def deliver(*events: LmsEvent) -> list[int]:
    """Take events through evaluate and persist, one after the other; the badges they changed."""
    return [
        badge
        for event in events
        for matching in stages.evaluate(received(event))
        for badge in stages.persist([matching])
    ]


def deliver_together(events: Sequence[LmsEvent]) -> list[int]:
    """Take events through evaluate and persist as one batch; the badges they changed."""
    return stages.persist(stages.evaluate(received(*events)))


def stored(event: LmsEvent) -> Event:
    return Event.objects.get(pk=event.id)


def organization(**fields: Any) -> Organization:
    return Organization.objects.create(**{"uuid": uuid4(), "name": "Academy", "api_key": "the-key"} | fields)


def template(owner: Organization | None = None, *, active: bool = True, **fields: Any) -> Template:
    """A template without requirements."""
    given = {"uuid": uuid4(), "name": "Intro Course", "image_url": "https://credly.example/i.png"} | fields
    return Template.objects.create(organization=owner or organization(), active=active, **given)


def requirement(
    owner: Template, slug: str, *rules: tuple[str, str, str], type: str = PASSING, group: str = "", **fields: Any
) -> Requirement:
    row = Requirement.objects.create(template=owner, slug=slug, event_type=type, group=group, **fields)
    for path, operator, value in rules:
        RequirementRule.objects.create(requirement=row, data_path=path, operator=operator, value=value)
    return row


def penalty(
    owner: Template, slug: str, takes_back: Sequence[Requirement], *rules: tuple[str, str, str], type: str = PASSING
) -> Penalty:
    row = Penalty.objects.create(template=owner, slug=slug, event_type=type)
    row.requirements.set(takes_back)
    for path, operator, value in rules:
        PenaltyRule.objects.create(penalty=row, data_path=path, operator=operator, value=value)
    return row


def course_template(owner: Organization | None = None, **fields: Any) -> Template:
    """The usual template: passing the demo course earns it, failing it takes it back."""
    row = template(owner, **fields)
    demo = requirement(row, "demo", PASSED, course(DEMO))
    penalty(row, "demo-failed", [demo], FAILED, course(DEMO))
    return row


def learner(**fields: Any) -> Learner:
    who = lms_learner()
    given = {
        "lms_user_id": who.id,
        "username": who.username,
        "email": who.email,
        "name": who.name,
        "as_of": START,
        "as_of_event": uuid4(),
    }
    return Learner.objects.create(**given | fields)


def badge(**fields: Any) -> Badge:
    """A badge that was just awarded and is due to be issued."""
    given = {"earned_at": START, "due_at": timezone.now()} | fields
    given["learner"] = given.get("learner") or learner()
    given["template"] = given.get("template") or course_template()
    return Badge.objects.create(**given)


def claimed(row: Badge) -> Claim:
    """A claim of the badge, as the issue stage takes it."""
    make_due(row)
    read = holdings.due(row.pk)
    assert read is not None
    claim = holdings.claim(read)
    assert claim is not None
    return claim


def held_badge(**fields: Any) -> Badge:
    """A badge that Credly holds, its signal written."""
    row = badge(**fields)
    holdings.held(claimed(row), uuid4(), holdings.CredlyState.PENDING, "issued")
    row.refresh_from_db()
    return row


def make_due(*rows: Badge | Signal) -> None:
    """Let the time pass until these rows are due and any claim on them is over."""
    for row in rows:
        type(row).objects.filter(pk=row.pk).update(due_at=timezone.now(), claimed_until=None, nudged_at=None)


def ended_claim(row: Badge | Signal) -> None:
    """Let the time pass until a claim on the row is over."""
    type(row).objects.filter(pk=row.pk).update(claimed_until=timezone.now())


def signals(row: Badge) -> list[str]:
    """What was told about a badge, as `awarded` and `revoked`, in order."""
    return [signal.event_type.split(".")[-2] for signal in row.signals.order_by("pk")]


def told(who: Learner | LmsLearner) -> list[str]:
    """What was told about a learner's badges, in order."""
    number = who.lms_user_id if isinstance(who, Learner) else who.id
    rows = Signal.objects.filter(badge__learner__lms_user_id=number).order_by("pk")
    return [signal.event_type.split(".")[-2] for signal in rows]


def claimed_signal(pk: int) -> tuple[Signal, UUID] | None:
    """A signal that may be sent now, claimed as `emit` does, and the claim's token; None if it may not."""
    mine, token = outbox.claim(outbox.ready([pk]))
    return (mine[0], token) if mine else None
