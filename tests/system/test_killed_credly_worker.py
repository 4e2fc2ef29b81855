"""SIGKILL of the `credly` worker after Credly answered and before we committed: one badge, one signal.

Credly's own safety net is off: the template allows duplicates.  So what is seen is our protection alone, and the control
run shows that without it the learner gets a second badge.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.system import System
from tests.faults.databases import OF_RUN, Database
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

COURSE = "course-v1:Kill+Between+2026"
CREDLY_WORKER = "celery -A {app} worker --without-gossip --without-mingle -Q issue --pool threads -c 4"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return OF_RUN(tmp_path)


@pytest.fixture
def system(tmp_path: Path, database: Database) -> Iterator[System]:
    with System(tmp_path, environment={"DATABASE_URL": database.url}, database=database.server) as running:
        yield running


@pytest.fixture
def doubtful(system: System, database: Database) -> tuple[Academy, str]:
    """A template of which Credly issued a badge and answered, but the worker was killed before it could write that down."""
    academy, who = Academy(system), learner()
    template = academy.template([requirement("pass", ("course.course_key", "eq", COURSE))], allow_duplicates=True)
    system.credly(
        "POST", "faults", {"match": {"method": "POST", "path": "/badges"}, "delay": 3, "when": "after", "times": 1}
    )
    academy.play(academy.passes(who, COURSE))
    eventually(lambda: academy.badges_at_credly(template, who))
    with database.unwritable("badgehistory"):
        eventually(lambda: [call for call in issue_calls(system) if call["status"] == 201])
        system.processes["credly"].kill()
    assert awaits_an_answer(database)
    return academy, template


def issue_calls(system: System) -> list[dict[str, object]]:
    return list(system.credly("GET", "requests?method=POST")["requests"])


def awaits_an_answer(database: Database) -> bool:
    return database.query("SELECT credly_state, credly_id FROM pipeline_badge") == [("issuing", None)]


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
