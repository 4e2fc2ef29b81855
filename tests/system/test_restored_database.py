"""The database was restored to yesterday: what docs/deployment/disaster.md says, on a running system."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.embedded.system import TOPIC, System
from pipeline.lms.events import LmsLearner
from tests.faults.databases import OF_RUN, Database
from tests.system.academy import Academy, learner, penalty, requirement
from tests.system.conditions import eventually

COURSE = "course-v1:Restored+X+2026"
AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restored")


@pytest.fixture(scope="module")
def database(folder: Path) -> Database:
    return OF_RUN(folder)


@pytest.fixture(scope="module")
def system(folder: Path, database: Database) -> Iterator[System]:
    with System(folder, environment={"DATABASE_URL": database.url}, database=database.server) as running:
        yield running


@contextmanager
def restored(system: System, database: Database) -> Iterator[None]:
    """What happens inside happens after the backup, and the database knows nothing of it in the end."""
    backup = system.folder / "backup"
    database.save(backup)
    yield
    working = ("consumer", "worker", "credly", "beat")
    for name in working:
        system.processes[name].stop()
    database.restore(backup)
    for name in working:
        system.processes[name].start()


def read_again(system: System, since: float) -> None:
    """Have the bus deliver again what came since a time, and wait until it is done."""
    extra = json.dumps({"last_read_msg_id": f"{int(since)}000-0"})
    command = [sys.executable, "manage.py", "consume_events", "-t", TOPIC, "-g", "credentials_dev", "--extra", extra]
    reader = system.start_process(f"reader-{since}", command)
    reader.wait_for_output("reads")
    system.wait_until_idle()
    reader.stop()


@pytest.fixture
def people() -> tuple[LmsLearner, LmsLearner, LmsLearner]:
    return learner(), learner(), learner()


@pytest.mark.parametrize(
    ("allow_duplicates", "synced", "extra"),
    [
        pytest.param(False, False, 0, id="unique at Credly"),
        pytest.param(True, True, 0, id="duplicates allowed at Credly"),
        pytest.param(True, False, 1, id="duplicates allowed at Credly, and the sync forgotten"),
    ],
)
def test_what_the_database_forgot_is_read_again_and_every_learner_ends_with_one_badge_or_none(
    system: System,
    database: Database,
    people: tuple[LmsLearner, LmsLearner, LmsLearner],
    allow_duplicates: bool,
    synced: bool,
    extra: int,
):
    academy = Academy(system)
    keeps, loses, earns = people
    rules = [("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE)]
    failing = [("is_passing", "eq", "false"), ("course.course_key", "eq", COURSE)]
    template = academy.template(
        [requirement("pass", *rules)], [penalty("fail", ["pass"], *failing)], allow_duplicates=allow_duplicates
    )
    before = time.time()
    academy.play_and_wait(academy.passes(keeps, COURSE), academy.passes(loses, COURSE))
    with restored(system, database):
        academy.play_and_wait(academy.fails(loses, COURSE), academy.passes(earns, COURSE))
        eventually(lambda: len(signals(system, template)) == 4)
    assert academy.holders(template) == sorted([str(keeps.id), str(earns.id)])

    if synced:
        assert system.run_command("sync_organization_badge_templates").returncode == 0
    read_again(system, before)
    repaired = system.run_command("reconcile", "--organization_id", academy.organization, "--repair")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert f"{extra} extra" in repaired.stdout
    system.wait_until_idle()

    assert academy.holders(template) == sorted([str(keeps.id), str(earns.id)])
    assert system.run_command("reconcile", "--organization_id", academy.organization).returncode == 0
    again = eventually(lambda: signals(system, template)[4:] if len(signals(system, template)) >= 6 else None)
    assert sorted(again) == [(AWARDED, earns.id), (REVOKED, loses.id)], "told a second time, under new ids"


def signals(system: System, template: str) -> list[tuple[str, int]]:
    return [(item["type"], item["learner"]) for item in system.received_signals() if item["template"] == template]
