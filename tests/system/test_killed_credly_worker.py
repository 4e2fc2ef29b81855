"""SIGKILL of the `credly` worker after Credly answered and before we committed: one badge, one signal.

Credly's own safety net is off: the template allows duplicates.  So what is seen is our protection alone, and the control
run shows that without it the learner gets a second badge.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.embedded.system import System
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

COURSE = "course-v1:Kill+Between+2026"
CREDLY_WORKER = "celery -A {app} worker --without-gossip --without-mingle -Q issue --pool threads -c 4"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path) as running:
        yield running


@contextmanager
def writes_blocked(system: System) -> Iterator[None]:
    """Nobody else can commit to the database meanwhile."""
    with closing(sqlite3.connect(system.folder / "db.sqlite3", timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def doubtful(system: System) -> tuple[Academy, str]:
    """A template of which Credly issued a badge and answered, but the worker was killed before it could write that down."""
    academy, who = Academy(system), learner()
    template = academy.template([requirement("pass", ("course.course_key", "eq", COURSE))], allow_duplicates=True)
    system.credly(
        "POST", "faults", {"match": {"method": "POST", "path": "/badges"}, "delay": 3, "when": "after", "times": 1}
    )
    academy.play(academy.passes(who, COURSE))
    eventually(lambda: academy.badges_at_credly(template, who))
    with writes_blocked(system):
        eventually(lambda: [call for call in issue_calls(system) if call["status"] == 201])
        system.processes["credly"].kill()
    assert awaits_an_answer(system)
    return academy, template


def issue_calls(system: System) -> list[dict[str, object]]:
    return list(system.credly("GET", "requests?method=POST")["requests"])


def awaits_an_answer(system: System) -> bool:
    with closing(sqlite3.connect(system.folder / "db.sqlite3")) as connection:
        return connection.execute("SELECT credly_state, credly_id FROM pipeline_badge").fetchall() == [
            ("issuing", None)
        ]


def test_the_learner_gets_one_badge_and_one_signal(system: System, doubtful: tuple[Academy, str]):
    academy, template = doubtful
    system.start_process("credly again", CREDLY_WORKER.format(app="pipeline"))
    system.wait_until_idle(90)

    assert [badge["state"] for badge in academy.badges_at_credly(template)] == ["pending"]
    assert len(issue_calls(system)) == 1
    signals = eventually(system.received_signals)
    assert [signal["type"] for signal in signals] == ["org.openedx.learning.badge.awarded.v1"]


def test_without_looking_first_the_learner_would_get_two(system: System, doubtful: tuple[Academy, str]):
    academy, template = doubtful
    system.start_process("blind credly", CREDLY_WORKER.format(app="tests.system.blind_credly_worker"))
    system.wait_until_idle(90)

    assert len(academy.badges_at_credly(template)) == 2
