"""The configuration examples of the Open edX badges documentation, through the whole pipeline with real processes.

Each example is a template with a few learners; all play at once, and Credly's ledger must show exactly those who earned it.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.embedded.system import System
from pipeline.lms.events import LmsEvent, LmsLearner
from tests.system.academy import Academy, learner, penalty, requirement

DEMO = "course-v1:OpenedX+DemoX+Demo_Course"
MATH = "course-v1:OpenedX+Math+2026"
ART = "course-v1:OpenedX+Art+2026"
CCX_1 = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"
CCX_2 = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@2"
OTHER_CCX = "ccx-v1:OpenedX+Math+2026+ccx@3"

PASSED = ("is_passing", "eq", "true")
FAILED = ("is_passing", "eq", "false")


def course(key: str, operator: str = "eq") -> tuple[str, str, str]:
    return ("course.course_key", operator, key)


def ccx(key: str, operator: str = "eq") -> tuple[str, str, str]:
    return ("course.ccx_course_key", operator, key)


def master(key: str) -> tuple[str, str, str]:
    return ("course.master_course_key", "eq", key)


@dataclass
class Example:
    """A template; what learners do, as courses passed ("+") and failed ("-"); whether they then hold the badge."""

    requirements: list[dict[str, Any]]
    earn: list[str]
    do_not: list[str]
    penalties: list[dict[str, Any]] = field(default_factory=list)


def passed(*courses: str) -> str:
    return " ".join(f"+{key}" for key in courses)


def failed(*courses: str) -> str:
    return " ".join(f"-{key}" for key in courses)


EXAMPLES = {
    "any course": Example(
        [requirement("any", PASSED)],
        earn=[passed(DEMO), passed(ART), passed(DEMO, MATH)],
        do_not=[failed(DEMO), passed(CCX_1)],
    ),
    "any course except one": Example(
        [requirement("any-but-demo", PASSED, course(DEMO, "ne"))],
        earn=[passed(MATH), passed(DEMO, MATH)],
        do_not=[passed(DEMO), failed(MATH)],
    ),
    "one specific course": Example(
        [requirement("demo", PASSED, course(DEMO))],
        earn=[passed(DEMO), failed(DEMO) + " " + passed(DEMO)],
        do_not=[passed(MATH), failed(DEMO)],
    ),
    "several courses, all needed": Example(
        [
            requirement("demo", PASSED, course(DEMO), group="A"),
            requirement("math", PASSED, course(MATH), group="B"),
            requirement("art", PASSED, course(ART)),
        ],
        earn=[passed(DEMO, MATH, ART), passed(ART, MATH, DEMO)],
        do_not=[passed(DEMO), passed(DEMO, MATH), passed(ART, MATH)],
    ),
    "one of several courses": Example(
        [
            requirement("demo", PASSED, course(DEMO), group="A"),
            requirement("math", PASSED, course(MATH), group="A"),
        ],
        earn=[passed(DEMO), passed(MATH), passed(DEMO, MATH)],
        do_not=[passed(ART), failed(DEMO, MATH)],
    ),
    "any CCX": Example(
        [requirement("any-ccx", PASSED, ccx=True)],
        earn=[passed(CCX_1), passed(OTHER_CCX)],
        do_not=[passed(DEMO), failed(CCX_1)],
    ),
    "any CCX except one": Example(
        [requirement("any-ccx-but-2", PASSED, ccx(CCX_2, "ne"), ccx=True)],
        earn=[passed(CCX_1), passed(CCX_2, OTHER_CCX)],
        do_not=[passed(CCX_2), passed(DEMO)],
    ),
    "one specific CCX": Example(
        [requirement("ccx-1", PASSED, ccx(CCX_1), ccx=True)],
        earn=[passed(CCX_1)],
        do_not=[passed(CCX_2), passed(DEMO)],
    ),
    "several CCX, all needed": Example(
        [
            requirement("ccx-1", PASSED, ccx(CCX_1), group="A", ccx=True),
            requirement("ccx-2", PASSED, ccx(CCX_2), group="B", ccx=True),
        ],
        earn=[passed(CCX_1, CCX_2)],
        do_not=[passed(CCX_1), passed(CCX_2, OTHER_CCX)],
    ),
    "one of several CCX": Example(
        [
            requirement("ccx-1", PASSED, ccx(CCX_1), group="A", ccx=True),
            requirement("ccx-2", PASSED, ccx(CCX_2), group="A", ccx=True),
        ],
        earn=[passed(CCX_1), passed(CCX_2)],
        do_not=[passed(OTHER_CCX)],
    ),
    "any CCX of this master course except CCX 2": Example(
        [requirement("ccx-of-demo-but-2", PASSED, master(DEMO), ccx(CCX_2, "ne"), ccx=True)],
        earn=[passed(CCX_1), passed(CCX_2, CCX_1)],
        do_not=[passed(CCX_2), passed(OTHER_CCX), passed(DEMO)],
    ),
    "the master course or one of its CCX": Example(
        [
            requirement("master", PASSED, course(DEMO), group="A"),
            requirement("its-ccx", PASSED, master(DEMO), group="A", ccx=True),
        ],
        earn=[passed(DEMO), passed(CCX_1), passed(CCX_2, DEMO)],
        do_not=[passed(OTHER_CCX), failed(DEMO, CCX_1)],
    ),
    "a course that must stay passed": Example(
        [requirement("demo", PASSED, course(DEMO))],
        penalties=[penalty("demo-failed", ["demo"], FAILED, course(DEMO))],
        earn=[passed(DEMO), passed(DEMO) + " " + failed(MATH), failed(DEMO) + " " + passed(DEMO)],
        do_not=[passed(DEMO) + " " + failed(DEMO)],
    ),
}


@pytest.fixture(scope="module")
def outcome(system: System) -> dict[str, tuple[set[str], set[str]]]:
    """Per example: which of its learners should hold its badge, and which do.

    Everybody's events meet the templates of all examples; of an example only its own learners are looked at.
    """
    academy = Academy(system)
    templates = {name: academy.template(example.requirements, example.penalties) for name, example in EXAMPLES.items()}
    earners: dict[str, set[str]] = {name: set() for name in EXAMPLES}
    own: dict[str, set[str]] = {name: set() for name in EXAMPLES}
    events: list[LmsEvent] = []
    for name, example in EXAMPLES.items():
        for script in (*example.earn, *example.do_not):
            who = learner()
            events += _events(academy, who, script)
            own[name].add(str(who.id))
            if script in example.earn:
                earners[name].add(str(who.id))
    academy.play_and_wait(*events)
    return {name: (earners[name], own[name] & set(academy.holders(templates[name]))) for name in EXAMPLES}


def _events(academy: Academy, who: LmsLearner, script: str) -> list[LmsEvent]:
    steps = [(word[0] == "+", word[1:]) for word in script.split()]
    return [academy.passes(who, key) if passing else academy.fails(who, key) for passing, key in steps]


@pytest.mark.parametrize("name", EXAMPLES)
def test_exactly_those_who_earned_it_hold_the_badge_at_credly(name, outcome):
    earners, holders = outcome[name]
    assert holders == earners
