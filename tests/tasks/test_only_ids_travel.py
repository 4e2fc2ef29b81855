"""Neither the broker nor the logs get to see who the learners are."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from pytest_celery import CeleryWorkerCluster
from redis import Redis

from pipeline import nudges
from tests.system.conditions import eventually
from tests.tasks.conftest import StartWorker
from tests.tasks.nodes import BrokerNode
from tests.tasks.school import School, nothing_waits

BROKER, BUS = 0, 1
STAGES = ("evaluate", "persist", "issue", "emit")
_BODY = re.compile(r'\\?"body\\?": \\?"([A-Za-z0-9+/=]+)')


@contextmanager
def overheard(port: int) -> Iterator[dict[int, list[str]]]:
    """Everything that a Redis server is told meanwhile, by database; the bodies of messages in plain text."""
    heard: dict[int, list[str]] = {BROKER: [], BUS: []}

    def listen(commands: Any) -> None:
        for command in commands:
            text = command["command"]
            bodies = [base64.b64decode(body).decode() for body in _BODY.findall(text)]
            heard[int(command["db"])].extend([text, *bodies])
            if "that is all" in text:
                return

    with Redis(port=port) as redis, redis.monitor() as monitor:
        thread = Thread(target=listen, args=(monitor.listen(),))
        thread.start()
        try:
            yield heard
        finally:
            with Redis(port=port) as another:
                another.echo("that is all")
            thread.join(20)


@pytest.fixture
def celery_worker_cluster(start_worker: StartWorker) -> CeleryWorkerCluster:
    """One worker of each kind, which log everything."""
    loud = ("-I", "tests.tasks.loud")
    cluster = CeleryWorkerCluster(start_worker("worker", *loud), start_worker("credly", *loud))
    assert cluster.ready()
    return cluster


def test_no_message_no_task_event_and_no_log_line_names_a_learner(
    celery_broker: BrokerNode, celery_worker_cluster: CeleryWorkerCluster, school: School
):
    learner = school.learner()
    names = [learner.username, learner.email, *learner.name.split()]

    def told_in(texts: list[str]) -> set[str]:
        return {name for name in names for text in texts if name in text}

    with overheard(celery_broker.server.port) as heard:
        event = school.passes(learner)
        nudges.evaluate([event])
        eventually(nothing_waits)
        eventually(lambda: sum('"task-succeeded"' in text for text in heard[BROKER]) == len(STAGES))
    logs = [node.logs() for node in celery_worker_cluster]
    assert told_in(heard[BUS]) == set(names), "what is looked for would not be found"
    assert all('"level": "DEBUG"' in log for log in logs), "the logs do not tell everything"
    assert any(str(event) in text for text in heard[BROKER]), "the messages were not overheard"
    assert told_in(heard[BROKER]) == set()
    assert told_in(logs) == set()


def test_no_result_is_kept(celery_broker: BrokerNode, celery_worker_cluster: CeleryWorkerCluster, school: School):
    nudges.evaluate([school.passes()])
    eventually(nothing_waits)
    eventually(lambda: celery_broker.taken() == 0)
    with celery_broker.container.client as redis:
        of_celery = re.compile(r"_kombu\.|unacked|.*\.pidbox|.*reply")
        of_pace = re.compile(r"LIMITS:badges-credly/[0-9a-f-]{36}/")  # times of calls, gone after seconds
        left = [key for key in redis.scan_iter() if not (of_celery.match(key) or of_pace.match(key))]
        assert left == []
