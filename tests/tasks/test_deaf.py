"""Real processes tell how they work, and one that is alive and deaf is found."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup
from redis import Redis

from pipeline import measures, nudges
from pipeline.embedded.process import ChildProcess
from tests.system.conditions import eventually
from tests.tasks.conftest import Start, StartWorker
from tests.tasks.nodes import PROJECT, BrokerNode, WorkerNode
from tests.tasks.school import TOPIC, School, nothing_waits

PATIENCE = 15
"""Seconds: three rounds of housekeeping, or two and the time that a process keeps what it measured."""


@pytest.fixture(autouse=True)
def this_broker(celery_broker: BrokerNode, settings: Any) -> None:
    settings.CELERY_BROKER_URL = celery_broker.url


def runs() -> dict[tuple[str, ...], float]:
    """How often each stage ended, with which outcome."""
    found: dict[tuple[str, ...], float] = {}
    for (name, *labels, part), value in measures.shared().items():
        if name == measures.STAGE_SECONDS.name and part != measures.SUM:
            found[tuple(labels)] = found.get(tuple(labels), 0) + value
    return found


def test_children_and_threads_of_workers_tell_how_often_each_stage_ran(
    celery_setup: CeleryTestSetup, start: Start, school: School
):
    start("beat")
    nudges.evaluate(school.store([school.message() for _ in range(20)]))
    eventually(nothing_waits)
    eventually(lambda: runs().get(("issue", "success"), 0) * nudges.ISSUE_AT_ONCE >= 20)
    many_at_once = ("evaluate", "persist", "emit", "housekeeping")
    eventually(lambda: {(stage, "success") for stage in many_at_once} <= runs().keys())


Health = Callable[[str], str]


@pytest.fixture
def health(environment: dict[str, str]) -> Health:
    """What `check_health` says of a process."""

    def health(process: str) -> str:
        command = [sys.executable, "manage.py", "check_health", process, "--seconds", str(PATIENCE)]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return done.stdout or done.stderr

    return health


@contextmanager
def hanging(process: ChildProcess) -> Iterator[None]:
    """Meanwhile it is alive and does nothing."""
    process.send(signal.SIGSTOP)
    try:
        yield
        assert process.running
    finally:
        process.send(signal.SIGCONT)


def test_a_worker_that_is_alive_and_deaf_is_found_and_found_well_again(
    worker: WorkerNode, start: Start, health: Health, school: School
):
    start("beat")
    eventually(lambda: health("worker") == "worker: what is due is done\n")
    with hanging(worker.process):
        eventually(lambda: "worker: Beat asks for housekeeping, and no worker ended any" in health("worker"))
    eventually(lambda: health("worker") == "worker: what is due is done\n")


def test_a_beat_that_is_alive_and_silent_is_found_and_nobody_else_is_blamed(
    celery_setup: CeleryTestSetup, start: Start, health: Health, school: School
):
    beat = start("beat")
    eventually(lambda: health("beat") == "beat: housekeeping is sent\n")
    with hanging(beat):
        eventually(lambda: "beat: The broker got no housekeeping of beat for" in health("beat"))
        assert health("worker") == "worker: beat is silent, so nobody else can be blamed\n"
    eventually(lambda: health("beat") == "beat: housekeeping is sent\n")


def test_a_credly_process_that_is_alive_and_deaf_is_found_and_the_workers_are_not_blamed(
    credly_worker: WorkerNode, start: Start, health: Health, school: School
):
    start("beat")
    eventually(lambda: health("credly") == "credly: what is due is done\n")
    with hanging(credly_worker.process):
        nudges.evaluate([school.passes()])
        eventually(lambda: "credly: 1 rows are due for issue" in health("credly"))
        assert health("worker") == "worker: what is due is done\n"
    eventually(nothing_waits)
    eventually(lambda: health("credly") == "credly: what is due is done\n")


def test_a_consumer_that_is_alive_and_deaf_is_found_and_found_well_again(
    celery_broker: BrokerNode, start: Start, health: Health, school: School
):
    consumer = start("consumer")
    consumer.wait_for_output("reads")
    assert health("consumer") == "consumer: what is on the bus is taken\n"
    with hanging(consumer), Redis.from_url(celery_broker.server.database(1)) as bus:
        bus.xadd(TOPIC, {"no": "event"})
        eventually(lambda: f"consumer: Messages of {TOPIC} wait for" in health("consumer"))
    eventually(lambda: health("consumer") == "consumer: what is on the bus is taken\n")


def test_what_children_measured_is_counted_though_each_ends_after_a_few_tasks(
    start_worker: StartWorker, school: School
):
    node = start_worker("worker", "--max-tasks-per-child", "2")
    assert node.ready()
    for event in [school.passes() for _ in range(10)]:
        nudges.evaluate([event])
    eventually(lambda: (runs().get(("evaluate", "success")), runs().get(("persist", "success"))) == (10, 10))


def test_what_is_measured_is_counted_though_all_workers_are_taken_away_right_after(
    start_worker: StartWorker, school: School
):
    """Sooner than they would share it by themselves."""
    nodes = [start_worker(kind) for kind in ("worker", "worker", "credly", "credly")]
    for node in nodes:
        assert node.ready()
    nudges.evaluate([school.passes()])
    eventually(nothing_waits)
    for node in nodes:
        node.process.send(signal.SIGTERM)
    for node in nodes:
        node.process.stop()
    assert runs() == {(stage, "success"): 1 for stage in ("evaluate", "persist", "issue", "emit")}
