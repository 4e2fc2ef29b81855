"""A backfill by real processes: live events first, and whoever is killed, it comes to its end."""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.system import System
from pipeline.lms.events import LmsLearner
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

pytestmark = pytest.mark.system

LONG_AGO = "course-v1:Backfill+LongAgo+2026"
ALSO = "course-v1:Backfill+Also+2026"
LIVE = "course-v1:Backfill+Live+2026"
MANY, EARN = 4000, 20


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path, lms=False) as running:
        yield running


@pytest.fixture
def late(system: System) -> tuple[Academy, str, list[LmsLearner]]:
    """A template that asks for two courses, configured after thousands passed the one; some of them passed both."""
    academy, learners = Academy(system), [learner() for _ in range(MANY)]
    earn = learners[:: MANY // EARN]
    academy.play_and_wait(
        *(academy.passes(who, LONG_AGO) for who in learners), *(academy.passes(who, ALSO) for who in earn)
    )
    needs = [requirement(course[-9:-5], ("course.course_key", "eq", course)) for course in (LONG_AGO, ALSO)]
    return academy, academy.template(needs), earn


def one(system: System, sql: str) -> Any:
    with closing(sqlite3.connect(system.folder / "db.sqlite3", timeout=30)) as connection:
        row = connection.execute(sql).fetchone()
    return row[0] if row else None


def looked_at(system: System) -> int:
    return int(one(system, "SELECT looked_at FROM pipeline_backfill") or 0)


def begin(system: System, name: str, template: str) -> None:
    system.start_process(name, [sys.executable, "manage.py", "backfill", template])


def holders(learners: list[LmsLearner]) -> list[str]:
    return sorted(str(who.id) for who in learners)


def test_live_events_go_first(system, late):
    academy, template, earn = late
    live = academy.template([requirement("live", ("course.course_key", "eq", LIVE))])
    now = [learner() for _ in range(EARN)]
    consumer = system.processes["consumer"].pid
    os.killpg(consumer, signal.SIGSTOP)
    academy.play(*(academy.passes(who, LIVE) for who in now))
    begin(system, "backfill", template)
    eventually(lambda: looked_at(system))
    os.killpg(consumer, signal.SIGCONT)
    eventually(lambda: one(system, f"SELECT COUNT(*) FROM pipeline_learner WHERE lms_user_id >= {now[0].id}") == EARN)
    assert one(system, "SELECT state FROM pipeline_backfill") == "running", "nothing was left to be overtaken"
    system.processes["backfill"].wait_for_output("Done.", 120)
    system.wait_until_idle()
    assert academy.holders(template) == holders(earn)
    assert academy.holders(live) == holders(now)


def test_whoever_is_killed_it_comes_to_its_end(system, late):
    academy, template, earn = late
    begin(system, "backfill", template)
    first = eventually(lambda: looked_at(system))
    system.processes["backfill"].kill()
    system.processes["worker"].kill()
    assert looked_at(system) < MANY, "nothing was left to be done"
    system.start_process("worker again", "celery -A pipeline worker -Q evaluate,persist,emit,housekeeping -c 2")
    begin(system, "backfill again", template)
    system.processes["backfill again"].wait_for_output("Done.", 120)
    system.wait_until_idle()
    assert looked_at(system) == MANY + EARN >= first
    assert academy.holders(template) == holders(earn)
    assert len(academy.badges_at_credly(template)) == EARN
