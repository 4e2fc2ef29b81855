"""The examples of `docs/badge-file.md` that ask for more than equality, as the page has them, with real processes.

Each is a template with a few learners; all play at once, and Credly's ledger must show exactly the badges they earned.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.embedded.system import System
from pipeline.lms.events import LmsEvent, LmsLearner, passing_event
from tests.configuration.documented import example_of
from tests.system.academy import Academy, learner, requirement

DEMO = "course-v1:OpenedX+DemoX+Demo_Course"
ALGEBRA, CALCULUS = "course-v1:OpenedX+Algebra+2026", "course-v1:OpenedX+Calculus+2026"
BASICS, ADVANCED = "course-v1:OpenedX+Basics+2026", "course-v1:OpenedX+Advanced+2026"
A, B, C, D, E, F = (f"course-v1:OpenedX+{letter}+2026" for letter in "ABCDEF")
CCX = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"
SPRING = {"start": "2026-03-01T00:00:00+00:00", "end": "2026-07-01T00:00:00+00:00"}
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Deed:
    """A course passed or failed; at the time given, else that of its place in the order."""

    course: str
    passing: bool
    time: str | None
    fields: dict[str, Any]

    def event(self, who: LmsLearner, place: int) -> LmsEvent:
        time = datetime.fromisoformat(self.time) if self.time else START.replace(minute=place)
        event = passing_event(who, self.course, self.passing, time)
        event.payload["course"].update(self.fields)
        return event


def passed(course: str, time: str | None = None, **fields: Any) -> Deed:
    return Deed(course, True, time, fields)


def failed(course: str, time: str | None = None) -> Deed:
    return Deed(course, False, time, {})


def spring(course: str = ALGEBRA, **fields: Any) -> Deed:
    return passed(course, **(SPRING | fields))


EXAMPLES: dict[str, tuple[list[list[Deed]], list[list[Deed]]]] = {
    "algebra-or-calculus": ([[passed(ALGEBRA)], [passed(CALCULUS)]], [[passed(A)], [failed(ALGEBRA)]]),
    "no-demo": ([[passed(A)], [passed(DEMO), passed(A)]], [[passed(DEMO)], [passed(f"{DEMO}_2")], [failed(A)]]),
    "advanced": (
        [[passed(ALGEBRA, display_name="Advanced Algebra")]],
        [
            [passed(ALGEBRA, display_name="Algebra")],
            [passed(ALGEBRA, display_name="advanced algebra")],
            [passed("course-v1:Other+Algebra+2026", display_name="Advanced Algebra")],
        ],
    ),
    "spring": (
        [[spring()], [spring(start="2026-05-31T23:59:59+00:00")], [spring("course-v1:OpenedX+Algebra+Spring")]],
        [
            [spring(start="2026-06-01T00:00:00+00:00")],
            [spring(start="2026-02-28T23:59:59+00:00")],
            [spring(end=None)],
            [spring(CALCULUS)],
            [spring("course-v1:OpenedX+AlgebraII+2026")],
        ],
    ),
    "small-group": (
        [[passed(CCX, max_students_allowed=2)], [passed(CCX, max_students_allowed=12)]],
        [[passed(CCX, max_students_allowed=number)] for number in (1, 13, 100, None)],
    ),
    "five-courses": (
        [
            [passed(course) for course in (A, B, C, D, E)],
            [passed(A), passed(A), passed(E), passed(B), passed(C), passed(B), passed(D)],
            [passed(A), passed(B), passed(C), failed(A), passed(D), passed(E), passed(F)],
            [passed(A), failed(A), passed(B), passed(C), passed(D), passed(E), passed(A)],
        ],
        [
            [passed(course) for course in (A, B, C, D)],
            [passed(A) for _ in range(7)],
            [passed(A), passed(B), passed(C), passed(D), failed(A), passed(E)],
            [passed(A), passed(B), passed(C), passed(D), passed(E), failed(C)],
        ],
    ),
    "three-courses-in-a-quarter": (
        [
            [passed(A, "2026-01-01T00:00Z"), passed(B, "2026-02-01T00:00Z"), passed(C, "2026-04-01T00:00Z")],
            [
                passed(A, "2025-01-01T00:00Z"),
                passed(B, "2025-08-01T00:00Z"),
                passed(C, "2025-08-02T00:00Z"),
                passed(D, "2025-08-03T00:00Z"),
                passed(E, "2026-08-01T00:00Z"),
            ],
        ],
        [
            [passed(A, "2026-01-01T00:00Z"), passed(B, "2026-02-01T00:00Z"), passed(C, "2026-04-01T00:00:01Z")],
            [passed(A, "2026-01-01T00:00Z"), passed(B, "2026-01-02T00:00Z"), passed(A, "2026-01-03T00:00Z")],
        ],
    ),
    "summer-campaign": (
        [[passed(A, "2026-06-01T00:00Z")], [passed(A, "2026-08-31T23:59:59Z")]],
        [[passed(A, "2026-05-31T23:59:59Z")], [passed(A, "2026-09-01T00:00Z")]],
    ),
    "during-the-conference": (
        [[passed(A, "2026-06-01T07:00Z")], [passed(A, "2026-06-03T15:59:59Z")]],
        [[passed(A, "2026-06-01T06:59:59Z")], [passed(A, "2026-06-03T16:00Z")]],
    ),
    "basics": (
        [
            [passed(BASICS), passed(ADVANCED)],
            [passed(BASICS), passed(ADVANCED), passed(BASICS)],
            [passed(ADVANCED), passed(BASICS), passed(ADVANCED)],
            [passed(ADVANCED, "2026-05-02T00:00Z"), passed(BASICS, "2026-05-01T00:00Z")],
        ],
        [
            [passed(ADVANCED), passed(BASICS)],
            [passed(ADVANCED)],
            [passed(BASICS, "2026-05-02T00:00Z"), passed(ADVANCED, "2026-05-01T00:00Z")],
        ],
    ),
    "bronze": ([[passed(D), passed(E), passed(F)]], [[passed(D), passed(E)], [passed(D), passed(F)], [passed(A)]]),
}
"""By an example's first requirement: what learners do who then hold the badge, and what those do who don't."""


@pytest.fixture(scope="module")
def academy(system: System) -> Academy:
    return Academy(system)


@pytest.fixture(scope="module")
def outcome(academy: Academy) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """Per example: how many of its badges each of its learners should hold, and how many they do.

    Everybody's events meet the templates of all examples; of an example only its own learners are looked at.
    """
    templates = {name: academy.template(**fields(academy, name)) for name in EXAMPLES}
    earned: dict[str, Counter[str]] = {}
    events: list[LmsEvent] = []
    for name, (earn, do_not) in EXAMPLES.items():
        earned[name] = Counter()
        for deeds in (*earn, *do_not):
            who = learner()
            earned[name][str(who.id)] = int(deeds in earn)
            events += [deed.event(who, place) for place, deed in enumerate(deeds)]
    academy.play_and_wait(*events)
    held = {name: Counter(academy.holders(template)) for name, template in templates.items()}
    return {name: (earned[name], Counter({who: held[name][who] for who in earned[name]})) for name in EXAMPLES}


def fields(academy: Academy, name: str) -> dict[str, Any]:
    """The example's template; where it asks for badges, those of courses."""
    template = example_of(name)
    if name == "bronze":
        courses = {D: "0f1e2d3c", E: "1f1e2d3c", F: "2f1e2d3c"}
        badges = {start: academy.template([requirement("passed", rule(course))]) for course, start in courses.items()}
        template = replaced(template, badges)
    return template


def rule(course: str) -> tuple[str, str, str]:
    return ("course.course_key", "eq", course)


def replaced(value: Any, badges: dict[str, str]) -> Any:
    """The same with each id that begins so replaced by the other."""
    if isinstance(value, dict):
        return {key: replaced(each, badges) for key, each in value.items()}
    if isinstance(value, list):
        return [replaced(each, badges) for each in value]
    return badges.get(str(value)[:8], value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_exactly_those_who_earned_it_hold_the_badge_at_credly(name, outcome):
    earned, held = outcome[name]
    assert held == earned


def test_with_per_a_learner_holds_one_badge_for_each_course_that_stays_passed(academy):
    template = academy.template(**example_of("passed"), allow_duplicates=True)
    three, none = learner(), learner()
    deeds = [passed(A), passed(B), passed(C), passed(A), failed(B), passed(D)]
    academy.play_and_wait(
        *(deed.event(three, place) for place, deed in enumerate(deeds)), failed(A).event(none, place=0)
    )
    assert academy.holders(template) == [str(three.id)] * 3
