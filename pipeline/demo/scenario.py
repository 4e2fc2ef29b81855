"""The demo's learners: which story each of them lives, the events of it, and all that must come of them."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from pipeline.demo.stories import PHASES, STORIES, Outcome, Step, Story
from pipeline.lms.events import LmsEvent, LmsLearner, passing_event

BADGES_FILE = Path(__file__).with_name("badges.yaml")
FEWEST_LEARNERS = len(STORIES)
FIRST_USER_ID = 1001
BEGAN = timedelta(days=30)
"""How long ago the stories begin."""

REPEATED = 0.1
"""Share of the events that are published more than once."""

NAMES = (
    # as the LMS has it: first and last name as Credly must get them (None: the username stands in)
    ("Ada Lovelace", ("Ada", "Lovelace")),
    ("Grace Brewster Hopper", ("Grace", "Brewster Hopper")),
    ("Sukarno", ("Sukarno", "Sukarno")),
    ("", None),
    ("Łucja Ängström", ("Łucja", "Ängström")),
    ("山田 太郎", ("山田", "太郎")),
    ("  Maryam   Mirzakhani ", ("Maryam", "Mirzakhani")),
)
UNDECODABLE: tuple[dict[bytes, bytes], ...] = (
    {b"hello": b"world"},
    {b"id": b"no uuid", b"type": b"org.openedx.learning.course.passing.status.updated.v1", b"event_data": b"\x00"},
    {b"type": b"org.example.unheard.of.v1", b"event_data": b"\xff\xfe"},
)
"""Messages on the bus that are no events; each must end `failed`."""


@dataclass(frozen=True)
class Badges:
    """What is known from `badges.yaml`: the organization's UUID and name, and template names by UUID."""

    organization: str
    organization_name: str
    templates: Mapping[str, str]

    @classmethod
    def load(cls) -> "Badges":
        """Read the file."""
        document: dict[str, Any] = yaml.safe_load(BADGES_FILE.read_text(encoding="utf-8"))
        [organization] = document["organizations"]
        templates = {template["uuid"]: template["name"] for template in document["templates"]}
        return cls(organization["uuid"], organization["name"], templates)


@dataclass(frozen=True)
class Expectation:
    """What must come of the whole demo.

    Attributes:
        badges: outcome by LMS user id and template UUID; pairs left out have no badge.
        names: first and last name at Credly by LMS user id.
        processed, ignored, failed: events by final status, apart from our own signals, which come back to us on the
            shared topic and are ignored.
        refused_learner: username of one whose badges are refused.
    """

    badges: Mapping[tuple[int, str], Outcome]
    names: Mapping[int, tuple[str, str]]
    processed: int
    ignored: int
    failed: int
    refused_learner: str

    @property
    def issued(self) -> int:
        """Badges that Credly ever holds."""
        return sum(outcome.issued for outcome in self.badges.values())

    @property
    def revoked(self) -> int:
        """Badges that are revoked at Credly."""
        return sum(outcome.revoked for outcome in self.badges.values())

    @property
    def refused(self) -> int:
        """Badges that end `failed`."""
        return sum(outcome.refused for outcome in self.badges.values())

    @property
    def signals(self) -> int:
        """Signals that the LMS receives: one per badge issued and one per badge revoked."""
        return self.issued + self.revoked

    @property
    def events(self) -> int:
        """Events and other messages from outside, each counted once."""
        return self.processed + self.ignored + self.failed


@dataclass(frozen=True)
class Scenario:
    """Learners, their events per phase in the order of publishing (repeats included), and what must come of them."""

    seed: int
    learners: tuple[LmsLearner, ...]
    phases: tuple[tuple[LmsEvent, ...], ...]
    expectation: Expectation

    @property
    def published(self) -> int:
        """Events that are published, each repetition counted."""
        return sum(len(events) for events in self.phases)

    def stored_after(self, phase: int) -> int:
        """How many different messages of ours are on the bus once this phase is published."""
        events = {event.id for published in self.phases[: phase + 1] for event in published}
        return len(events) + len(UNDECODABLE)


def build(learners: int, seed: int, badges: Badges, now: datetime) -> Scenario:
    """The scenario for so many learners; the same seed gives the same one.

    Raises:
        ValueError: too few learners for every story to happen.
    """
    if learners < FEWEST_LEARNERS:
        raise ValueError(f"every story needs a learner: at least {FEWEST_LEARNERS}, not {learners}")
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    people = [_learner(number, STORIES[number % len(STORIES)]) for number in range(learners)]
    told = [(learner, STORIES[number % len(STORIES)]) for number, learner in enumerate(people)]
    phases = tuple(_publication(told, phase, chance, now - BEGAN) for phase in range(len(PHASES)))
    return Scenario(seed, tuple(people), phases, _expectation(told, badges))


def write_events(events: tuple[LmsEvent, ...], file: Path) -> None:
    """Write events as `produce_events --file` reads them."""
    lines = (
        json.dumps({"id": str(event.id), "time": event.time.isoformat(), "type": event.type, "payload": event.payload})
        for event in events
    )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _learner(number: int, story: Story) -> LmsLearner:
    username = f"{story.name}-{number // len(STORIES) + 1}"
    name, _ = NAMES[number % len(NAMES)]
    return LmsLearner(FIRST_USER_ID + number, username, story.email or f"{username}@example.org", name)


def _publication(
    told: list[tuple[LmsLearner, Story]], phase: int, chance: random.Random, began: datetime
) -> tuple[LmsEvent, ...]:
    events = [
        _event(learner, step, chance, began) for learner, story in told for step in story.steps if step.phase == phase
    ]
    events += chance.sample(events, round(len(events) * REPEATED))
    chance.shuffle(events)
    return tuple(events)


def _event(learner: LmsLearner, step: Step, chance: random.Random, began: datetime) -> LmsEvent:
    time = began + timedelta(days=step.day, seconds=chance.randrange(3600))
    return passing_event(learner, step.course, step.passing, time, UUID(int=chance.getrandbits(128), version=4))


def _expectation(told: list[tuple[LmsLearner, Story]], badges: Badges) -> Expectation:
    templates = {name: uuid for uuid, name in badges.templates.items()}
    counts = Counter(step.counts for _, story in told for step in story.steps)
    return Expectation(
        badges={
            (learner.id, templates[name]): outcome
            for learner, story in told
            for name, outcome in story.outcomes.items()
        },
        names={learner.id: _credly_name(number, learner) for number, (learner, _) in enumerate(told)},
        processed=counts[True],
        ignored=counts[False],
        failed=len(UNDECODABLE),
        refused_learner=next(learner.username for learner, story in told if story.email),
    )


def _credly_name(number: int, learner: LmsLearner) -> tuple[str, str]:
    _, name = NAMES[number % len(NAMES)]
    return name or (learner.username, learner.username)
