"""A backfill by real processes: live events go first, and whoever is killed, it comes to its end.

Where it stands meanwhile is where it waits: for the inbox or for Credly, until the test starts those that work there.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.system import System
from pipeline.lms.events import LmsLearner
from pipeline.stages.backfill import BADGES_FIRST, EVENTS_FIRST
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

pytestmark = pytest.mark.system

LONG_AGO = "course-v1:Backfill+LongAgo+2026"
LIVE = "course-v1:Backfill+Live+2026"
WORKER = "celery -A pipeline worker --without-gossip --without-mingle -c 2 -Q "
CREDLY = "celery -A pipeline worker --without-gossip --without-mingle --pool threads -c 20 -Q issue"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """Without anybody who calls Credly."""
    with System(tmp_path, lms=False, processes=("consumer", "worker", "beat")) as running:
        yield running


def late(system: System, number: int) -> tuple[Academy, str, list[LmsLearner]]:
    """A template whose badge so many learners have earned before it was configured."""
    academy, learners = Academy(system), [learner() for _ in range(number)]
    academy.play_and_wait(*(academy.passes(who, LONG_AGO) for who in learners))
    return academy, academy.template([requirement("pass", ("course.course_key", "eq", LONG_AGO))]), learners


def one(system: System, sql: str) -> Any:
    with closing(sqlite3.connect(system.folder / "db.sqlite3", timeout=30)) as connection:
        row = connection.execute(sql).fetchone()
    return row[0] if row else None


def looked_at(system: System) -> int:
    return int(one(system, "SELECT looked_at FROM pipeline_backfill") or 0)


def begin(system: System, name: str, template: str) -> None:
    system.start_process(name, [sys.executable, "manage.py", "backfill", template])


def note(system: System) -> str:
    """What the backfill waits for, once it does; empty if it came to its end without waiting."""
    eventually(lambda: one(system, "SELECT note <> '' OR state = 'done' FROM pipeline_backfill"))
    return str(one(system, "SELECT note FROM pipeline_backfill"))


def holders(learners: list[LmsLearner]) -> list[str]:
    return sorted(str(who.id) for who in learners)


def test_live_events_go_first(system):
    """Nobody evaluates until the backfill has said that it waits; its end afterwards shows that it waited for this alone."""
    academy, template, earned = late(system, 20)
    system.processes["worker"].stop()
    live = [learner() for _ in range(EVENTS_FIRST + 1)]
    academy.play(*(academy.passes(who, LIVE) for who in live))
    eventually(lambda: one(system, "SELECT COUNT(*) FROM pipeline_event WHERE status = 'received'") == len(live))
    system.start_process("housekeeping", WORKER + "housekeeping")
    begin(system, "backfill", template)
    assert note(system) == "Waits while more than 500 events wait in the inbox: they go first."
    assert looked_at(system) == 0
    for name, command in (("worker again", WORKER + "evaluate,persist,emit"), ("credly", CREDLY)):
        system.start_process(name, command)
    system.processes["backfill"].wait_for_output("Done.", 120)
    system.wait_until_idle()
    assert looked_at(system) == len(earned) + len(live)
    assert academy.holders(template) == holders(earned)


def test_whoever_is_killed_it_comes_to_its_end(system):
    """Command and worker are killed while it waits, halfway, for Credly, whom nobody calls until then."""
    academy, template, earned = late(system, BADGES_FIRST + 400)
    begin(system, "backfill", template)
    assert note(system) == "Waits while more than 1,000 badges of the organization wait for Credly."
    system.processes["backfill"].kill()
    system.processes["worker"].kill()
    halfway = looked_at(system)
    assert BADGES_FIRST < halfway < len(earned)
    system.start_process("worker again", WORKER + "evaluate,persist,emit,housekeeping")
    system.start_process("credly", CREDLY)
    begin(system, "backfill again", template)
    system.processes["backfill again"].wait_for_output("Done.", 120)
    system.wait_until_idle()
    assert looked_at(system) == len(earned)
    assert academy.holders(template) == holders(earned)
    assert len(academy.badges_at_credly(template)) == len(earned)
