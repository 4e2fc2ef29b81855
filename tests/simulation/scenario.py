"""What a seed is about: who learns what and when, how it comes over the bus, and what goes wrong how often."""

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pipeline.bus.codec import encode
from pipeline.configuration.gate import MOST_FAILURES
from pipeline.lms.events import LmsEvent, LmsLearner, passing_event
from tests.simulation import school
from tests.simulation.bus import Published
from tests.simulation.scheduler import START
from tests.simulation.school import Plan

ELSEWHERE = "course-v1:Simulated+Elsewhere+2026"
GARBAGE = {b"type": b"org.example.unknown.v1", b"event_data": b"?"}

LEARNERS = (901, 902)

RATES = {
    # fault: chances of which a seed draws one; so most seeds have few kinds of fault, and those often
    "crash": (0.0, 0.01, 0.06),
    "crash in a transaction": (0.0, 0.05, 0.2),
    "database cut": (0.0, 0.0, 0.1),
    "loss": (0.0, 0.1, 0.4),
    "repeat": (0.0, 0.2, 0.6),
    "wipe": (0.0, 0.0, 0.01),
    "bus": (0.0, 0.0, 0.2),
    "credly": (0.0, 0.3, 0.7),
    "key": (0.0, 0.0, 0.005),
    "stall": (0.0, 0.0, 0.06),
    "clock": (0.0, 0.0, 0.01),
    "clock goes wrong": (0.0, 0.0, 0.005),
    "outage": (0.0, 0.0, 0.002),
    "tick": (0.02, 0.05, 0.15),
}


@dataclass(frozen=True)
class Scenario:
    """All that is decided beforehand; the rest is up to the scheduler."""

    plans: list[Plan]
    events: list[LmsEvent]
    published: list[Published]
    garbage: int
    rates: dict[str, float]
    storm: int
    """Steps until all goes well again."""
    workers: int
    failures: int
    """In a row that open the circuit: as many as here are met, or as in production."""


def draw(chance: random.Random) -> Scenario:
    """The scenario of a seed."""
    usual, *others = school.plans()
    one, two = [chance.choice(others)], chance.sample(school.plans(), 2)
    chosen = chance.choice(([usual], one, one, two))
    events = _events(chance, chosen)
    garbage = chance.random() < 0.1
    return Scenario(
        plans=chosen,
        events=events,
        published=_published(chance, events, garbage=garbage),
        garbage=int(garbage),
        rates={name: chance.choice(rates) for name, rates in RATES.items()},
        storm=chance.randint(50, 400),
        workers=chance.choice((1, 2, 3, 3, 5)),
        failures=chance.choice((3, MOST_FAILURES)),
    )


def _events(chance: random.Random, plans: list[Plan]) -> list[LmsEvent]:
    """One or two learners pass and fail courses, mostly by turns, seconds apart or at the same time."""
    courses = [course for plan in plans for course in plan.courses]
    learners = LEARNERS[: chance.choice((1, 1, 2))]
    passes = {(number, course): False for number in learners for course in [*courses, ELSEWHERE]}
    time = START - timedelta(seconds=20)
    events: list[LmsEvent] = []
    for _ in range(chance.randint(3, 6)):
        number = chance.choice(learners)
        course = ELSEWHERE if chance.random() < 0.04 else chance.choice(courses)
        passes[number, course] ^= chance.random() < 0.85
        time += timedelta(seconds=chance.choice((0, 1, 2)))
        address = f"learner{number}{chance.choice(('', '', '.new'))}@learners.example"
        learner = LmsLearner(number, f"learner{number}", address, "Dana Moe")
        unique = UUID(int=chance.getrandbits(128), version=4)
        events.append(passing_event(learner, course, passes[number, course], time, unique))
    return events


def _published(chance: random.Random, events: list[LmsEvent], *, garbage: bool) -> list[Published]:
    """The events as they happened, nearly so, or in any order; some twice; at once or over ten minutes."""
    sent = events + [event for event in events if chance.random() < 0.2]
    disorder = chance.choice((0, 0, 3, 100))
    sent.sort(key=lambda event: event.time.timestamp() + chance.uniform(0, disorder))
    bodies = [encode(event.signal, event.data, event.metadata) for event in sent]
    bodies += [GARBAGE] * garbage
    spread = chance.choice((0, 60, 600, 600))
    times = sorted(chance.uniform(0, spread) for _ in bodies)
    return [
        Published((f"{number}-0".encode(), fields), readable)
        for number, (fields, readable) in enumerate(zip(bodies, times, strict=True), start=1)
    ]
