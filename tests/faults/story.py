"""A seeded set of events, and what the brute-force oracle makes of it."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import NAMESPACE_URL, UUID, uuid5

from pipeline.lms.events import LmsEvent, LmsLearner, passing_event
from tests.faults.school import LETTERS, School
from tests.rules import oracle

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ELSEWHERE = "course-v1:Faults+Elsewhere+2026"
"""A course that no template asks for: its events are ignored."""

_numbers = count(1)


class Story:
    """Learners who pass and fail courses, each several times.  `delivery` has the events permuted, some twice.

    Args:
        school: what can be earned.
        seed: decides everything but the learners' numbers, which are new in each story of a process.
        learners: how many.
        events_each: how many events of a learner at the most; none, if the test adds them.
    """

    def __init__(self, school: School, seed: int, learners: int = 6, events_each: int = 6) -> None:
        self.school = school
        self._seed = seed
        self._draw = random.Random(seed)
        self._made = count(1)
        self.learners = [_learner(next(_numbers)) for _ in range(learners)]
        self.events: list[LmsEvent] = []
        self.taken_back: set[tuple[str, str]] = set()
        """Template and learner of the badges that somebody revoked at Credly: no event gives them back."""
        for learner in self.learners:
            self.add(self._of(learner, self._draw.randint(min(1, events_each), events_each)))

    def add(self, events: Iterable[LmsEvent]) -> list[LmsEvent]:
        """These happened too; returns them."""
        added = list(events)
        self.events += added
        return added

    def all_pass(self, letter: str = "A", hour: int = 1) -> list[LmsEvent]:
        """Every learner passes a course."""
        return self.add(self._event(learner, self.school.course(letter), True, hour) for learner in self.learners)

    def all_fail(self, letter: str = "A", hour: int = 2) -> list[LmsEvent]:
        """Every learner fails it."""
        return self.add(self._event(learner, self.school.course(letter), False, hour) for learner in self.learners)

    def delivery(self) -> list[LmsEvent]:
        """All events in any order, and one in three again."""
        again = self._draw.sample(self.events, len(self.events) // 3)
        return self._draw.sample([*self.events, *again], len(self.events) + len(again))

    def holders(self) -> set[tuple[str, str]]:
        """Template and learner of each badge that the oracle says is held in the end."""
        return {
            (template, str(learner.id))
            for template, configuration in self.school.templates.items()
            for learner in self.learners
            if oracle.earned(configuration, self._for_oracle(learner)) is not None
        } - self.taken_back

    def matching(self) -> set[UUID]:
        """The events that mean something to some template."""
        templates = self.school.templates.values()
        found = (event for learner in self.learners for event in self._for_oracle(learner))
        return {event.id for event in found if oracle.matches(templates, event)}

    def _of(self, learner: LmsLearner, number: int) -> Iterable[LmsEvent]:
        for _ in range(number):
            letter = self._draw.choice([*LETTERS, *LETTERS, ""])
            course = self.school.course(letter) if letter else ELSEWHERE
            yield self._event(learner, course, self._draw.random() < 0.6, self._draw.randint(1, 12))

    def _event(self, learner: LmsLearner, course: str, passing: bool, hour: int) -> LmsEvent:
        identity = uuid5(NAMESPACE_URL, f"faults/{self._seed}/{learner.id}/{next(self._made)}")
        return passing_event(learner, course, passing, START + timedelta(hours=hour), identity)

    def _for_oracle(self, learner: LmsLearner) -> list[oracle.Event]:
        return [
            oracle.Event(event.id, event.time, event.type, event.payload)
            for event in self.events
            if event.payload["user"]["id"] == learner.id
        ]


def _learner(number: int) -> LmsLearner:
    return LmsLearner(number, f"learner{number}", f"learner{number}@learners.example", f"Learner {number}")
