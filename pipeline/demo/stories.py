"""What can happen to a learner, and what must come of it: written down by hand, not worked out by the rules engine.

Within one phase the events of a learner come in any order, so a story must end the same for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

PHASES = ("first events", "penalties", "earning again")

DEMO = "course-v1:OpenedX+DemoX+Demo_Course"
PYTHON = "course-v1:Example+Python+2026"
R = "course-v1:Example+R+2026"
STATISTICS = "course-v1:Example+Statistics+2026"
SPANISH = "course-v1:Example+Spanish+2026"
FRENCH = "course-v1:Example+French+2026"
ORIENTATION = "course-v1:Example+Orientation+2026"
SAFETY = "course-v1:Example+Safety+2026"
MENTORING_1 = "ccx-v1:Example+Mentoring+2026+ccx@1"
MENTORING_2 = "ccx-v1:Example+Mentoring+2026+ccx@2"
MENTORING_3 = "ccx-v1:Example+Mentoring+2026+ccx@3"

INTRO_COURSE = "Intro Course"
DATA_PATH = "Data Path"
LANGUAGE = "Another Language"
FIRST_STEPS = "First Steps"
MENTOR = "Mentor"
SAFETY_CERTIFICATE = "Safety Certificate"


@dataclass(frozen=True)
class Outcome:
    """What becomes of a learner's badges of one template: numbers of badges at the end.

    `live` and `revoked` are at Credly; `refused` ones can't be issued and end `failed` with a reason.
    """

    live: int = 0
    revoked: int = 0
    refused: int = 0

    @property
    def issued(self) -> int:
        """Badges that Credly ever held."""
        return self.live + self.revoked


KEPT = Outcome(live=1)
LOST = Outcome(revoked=1)
EARNED_AGAIN = Outcome(live=1, revoked=1)
REFUSED = Outcome(refused=1)


@dataclass(frozen=True)
class Step:
    """One event: a grade in `course` on `day`, published in `phase` (an index of `PHASES`).

    `counts` is false for an event that meets no requirement and no penalty and so ends `ignored`.
    """

    phase: int
    day: int
    course: str
    passing: bool
    counts: bool = True


@dataclass(frozen=True)
class Story:
    """A learner's events, and the outcome per template name; templates left out give no badge.

    `name` begins the usernames of its learners; `email` is theirs when it must not be a good one.
    """

    name: str
    steps: tuple[Step, ...]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    email: str | None = None


def _passed(course: str, *, phase: int = 0, day: int | None = None, counts: bool = True) -> Step:
    return Step(phase, phase if day is None else day, course, True, counts)


def _failed(course: str, *, phase: int = 0, day: int | None = None, counts: bool = True) -> Step:
    return Step(phase, phase if day is None else day, course, False, counts)


STORIES = (
    Story("intro-passed", (_passed(DEMO),), {INTRO_COURSE: KEPT, FIRST_STEPS: KEPT}),
    Story("intro-never-passed", (_failed(DEMO),)),
    Story("intro-lost", (_passed(DEMO), _failed(DEMO, phase=1)), {INTRO_COURSE: LOST, FIRST_STEPS: KEPT}),
    Story(  # without `reaward` a revocation is final
        "intro-lost-for-good",
        (_passed(DEMO), _failed(DEMO, phase=1), _passed(DEMO, phase=2)),
        {INTRO_COURSE: LOST, FIRST_STEPS: KEPT},
    ),
    Story(  # a failure comes after the pass that it lies before
        "late-failure", (_passed(DEMO, day=2), _failed(DEMO, phase=1, day=1)), {INTRO_COURSE: KEPT, FIRST_STEPS: KEPT}
    ),
    Story(  # a pass comes after the failure that it lies before; it still was a first step
        "late-pass", (_failed(DEMO, day=2), _passed(DEMO, phase=1, day=1)), {FIRST_STEPS: KEPT}
    ),
    Story(  # both in one phase, in any order
        "second-attempt", (_failed(DEMO, day=1), _passed(DEMO, day=2)), {INTRO_COURSE: KEPT, FIRST_STEPS: KEPT}
    ),
    Story(
        "path-complete",
        (_passed(PYTHON), _passed(STATISTICS), _failed(MENTORING_1)),
        {DATA_PATH: KEPT, FIRST_STEPS: KEPT},
    ),
    Story(
        "path-complete-later",
        (_passed(R), _passed(STATISTICS), _failed(MENTORING_2, phase=2)),
        {DATA_PATH: KEPT, FIRST_STEPS: KEPT},
    ),
    Story(  # two of one group do not stand in for another group
        "path-unfinished", (_passed(PYTHON), _passed(R), _failed(MENTORING_1)), {FIRST_STEPS: KEPT}
    ),
    Story(
        "language-kept",
        (_passed(SPANISH), _passed(FRENCH), _failed(SPANISH, phase=1)),
        {LANGUAGE: KEPT, FIRST_STEPS: KEPT},
    ),
    Story(
        "language-lost",
        (_passed(SPANISH), _passed(FRENCH), _failed(SPANISH, phase=1), _failed(FRENCH, phase=1)),
        {LANGUAGE: LOST, FIRST_STEPS: KEPT},
    ),
    Story("orientation-only", (_passed(ORIENTATION, counts=False),)),
    Story("custom-course", (_passed(MENTORING_1), _passed(MENTORING_3)), {MENTOR: KEPT}),
    Story("trial-custom-course", (_passed(MENTORING_2),)),
    Story(
        "safety-renewed",
        (_passed(SAFETY), _failed(SAFETY, phase=1), _passed(SAFETY, phase=2)),
        {SAFETY_CERTIFICATE: EARNED_AGAIN, FIRST_STEPS: KEPT},
    ),
    Story("safety-expired", (_passed(SAFETY), _failed(SAFETY, phase=1)), {SAFETY_CERTIFICATE: LOST, FIRST_STEPS: KEPT}),
    Story("no-address", (_passed(DEMO),), {INTRO_COURSE: REFUSED, FIRST_STEPS: REFUSED}, email="no address"),
    Story("nothing-to-win", (_failed(PYTHON, counts=False),)),
)
