"""SIGKILL of a worker, or of one of its children, while it holds a task."""

import os
import signal
from pathlib import Path
from uuid import UUID

import pytest
from celery import Celery
from django.utils import timezone

from pipeline import nudges
from pipeline.models import Event
from tests.system.conditions import eventually
from tests.tasks.conftest import Blocked, Forget, Start, StartWorker, on_every_broker
from tests.tasks.nodes import BrokerNode, WorkerNode
from tests.tasks.school import School, nothing_waits, status


@pytest.fixture
def killed(start_worker: StartWorker, school: School, writes_blocked: Blocked, last_words_unheard: Forget) -> UUID:
    """The id of an event whose worker was killed while it persisted it."""
    worker = start_worker("worker")
    assert worker.ready()
    event = school.passes()
    with writes_blocked():
        nudges.persist([event])
        eventually(lambda: worker.active("persist"))
        worker.kill()
        last_words_unheard()
    assert status(event) == "received"
    return event


@on_every_broker
@pytest.mark.parametrize("broker_memory", ["kept", "lost"])
def test_the_work_of_a_killed_worker_is_finished_within_a_minute(
    killed: UUID, celery_broker: BrokerNode, start: Start, start_worker: StartWorker, school: School, broker_memory: str
):
    if broker_memory == "lost":
        celery_broker.empty()
    for process in ("worker", "credly"):
        start_worker(process)
    start("beat")
    eventually(lambda: nothing_waits() and status(killed) == "processed", seconds=60)
    assert school.issued() == ["1"]


@on_every_broker
def test_without_housekeeping_what_a_broker_forgot_stays_undone(
    killed: UUID, celery_broker: BrokerNode, start_worker: StartWorker, celery_setup_app: Celery, school: School
):
    celery_broker.empty()
    for process in ("worker", "credly"):
        start_worker(process)
    Event.objects.update(due_at=timezone.now())
    another = school.passes()
    nudges.evaluate([another])
    eventually(lambda: status(another) == "processed")
    eventually(lambda: school.issued() == ["2"])
    assert status(killed) == "received"
    celery_setup_app.send_task("housekeeping")
    eventually(nothing_waits)
    assert school.issued() == ["1", "2"]


def test_the_message_that_a_killed_worker_held_goes_to_another_after_the_visibility_timeout(
    killed: UUID, celery_broker: BrokerNode, celery_setup_app: Celery, start_worker: StartWorker
):
    assert celery_broker.taken() == 1
    assert start_worker("worker").ready()
    with celery_broker.container.client as redis:
        timeout = celery_setup_app.conf.broker_transport_options["visibility_timeout"]
        [tag] = redis.zrange("unacked_index", 0, -1)
        redis.zincrby("unacked_index", -timeout, tag)
    eventually(lambda: status(killed) == "processed")


@on_every_broker
def test_the_work_of_a_killed_child_is_done_again_at_once(
    start_worker: StartWorker, school: School, writes_blocked: Blocked, last_words_unheard: Forget
):
    worker = start_worker("worker")
    assert worker.ready()
    event = school.passes()
    with writes_blocked():
        nudges.persist([event])
        [task] = eventually(lambda: worker.active("persist"))
        os.kill(task["worker_pid"], signal.SIGKILL)
        last_words_unheard()
        eventually(lambda: _worked_on_by_another(worker, task["worker_pid"]), seconds=15)
    eventually(lambda: status(event) == "processed")


def _worked_on_by_another(worker: WorkerNode, pid: int) -> bool:
    return any(task["worker_pid"] != pid for task in worker.active("persist"))


@on_every_broker
def test_a_message_that_always_kills_its_child_is_set_aside_and_its_neighbours_go_on(
    start_worker: StartWorker, celery_setup_app: Celery, celery_broker: BrokerNode, school: School, tmp_path: Path
):
    worker = start_worker("worker", "-I", "tests.tasks.poison")
    assert worker.ready()
    runs = tmp_path / "runs"
    celery_setup_app.send_task("poison", [str(runs)])
    eventually(runs.exists)
    event = school.passes()
    nudges.evaluate([event])
    eventually(lambda: status(event) == "processed")
    eventually(lambda: len(runs.read_text().splitlines()) == 1 + 3)
    eventually(lambda: celery_broker.taken() == celery_broker.waiting("housekeeping") == 0)
    assert len(runs.read_text().splitlines()) == 1 + 3
    assert worker.process.running


@on_every_broker
def test_control_without_an_end_of_tries_it_kills_one_child_after_the_other(
    start_worker: StartWorker, celery_setup_app: Celery, celery_broker: BrokerNode, tmp_path: Path
):
    assert start_worker("worker", "-I", "tests.tasks.poison,tests.tasks.careless", WITHOUT="an end of tries").ready()
    runs = tmp_path / "runs"
    celery_setup_app.send_task("poison", [str(runs)])
    eventually(runs.exists)
    eventually(lambda: len(runs.read_text().splitlines()) > 2 * (1 + 3))
