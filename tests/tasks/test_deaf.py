"""Real processes tell how they work, and one that is alive and deaf is found."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup

from pipeline import measures, nudges
from tests.system.conditions import eventually
from tests.tasks.conftest import Start
from tests.tasks.nodes import PROJECT, BrokerNode, WorkerNode
from tests.tasks.school import School, nothing_waits

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
    eventually(lambda: runs().get(("issue", "success")) == 20)
    many_at_once = ("evaluate", "persist", "emit", "housekeeping")
    eventually(lambda: {(stage, "success") for stage in many_at_once} <= runs().keys())


def test_a_worker_that_is_alive_and_deaf_is_found_and_found_well_again(
    worker: WorkerNode, start: Start, environment: dict[str, str], school: School
):
    def health() -> str:
        command = [sys.executable, "manage.py", "check_health", "worker", "--seconds", str(PATIENCE)]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return done.stdout or done.stderr

    start("beat")
    eventually(lambda: health() == "worker: what is due is done\n")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        assert worker.process.running
        eventually(lambda: "worker: Beat asks for housekeeping, and no worker ended any" in health())
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    eventually(lambda: health() == "worker: what is due is done\n")
