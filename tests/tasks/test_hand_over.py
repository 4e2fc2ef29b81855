"""The way of an event through real workers."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from celery import Celery
from django.db import connection
from django.utils import timezone
from pytest_celery import CeleryTestSetup
from redis import Redis

from pipeline import nudges
from pipeline.embedded.redis import executable
from pipeline.models import Event, Signal
from tests.brokers.sentinel import sentinel
from tests.system.conditions import eventually
from tests.tasks.conftest import StartWorker, on_every_broker
from tests.tasks.nodes import BrokerNode, RedisProgram, WorkerNode
from tests.tasks.school import TOPIC, School, nothing_waits, status


@on_every_broker
def test_one_nudge_carries_an_event_through_all_stages(
    celery_setup: CeleryTestSetup, worker: WorkerNode, credly_worker: WorkerNode, bus_url: str, school: School
):
    event = school.passes()
    nudges.evaluate([event])
    eventually(nothing_waits)
    assert status(event) == "processed"
    assert school.issued() == ["1"]
    assert Signal.objects.get().state == "sent"
    with Redis.from_url(bus_url) as bus:
        assert bus.xlen(TOPIC) == 1
    for node, task in ((worker, "evaluate"), (worker, "persist"), (credly_worker, "issue"), (worker, "emit")):
        node.process.wait_for_output(f"Task {task}[")
    assert "Task issue[" not in worker.logs()


@pytest.fixture
def refuse_to_insert(database: str) -> Iterator[Callable[[int], None]]:
    """Have the database refuse the learner with an LMS user id."""
    refuse, mend = BY_A_TRIGGER if connection.vendor == "sqlite" else BY_A_CONSTRAINT
    with connection.cursor() as cursor:
        yield lambda lms_user_id: cursor.execute(refuse.format(lms_user_id))
        cursor.execute(mend)


BY_A_TRIGGER = (
    "CREATE TRIGGER refuse BEFORE INSERT ON pipeline_learner "
    "WHEN NEW.lms_user_id = {} BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "DROP TRIGGER refuse",
)
"""SQLite adds no constraint to a table that is there."""

BY_A_CONSTRAINT = (
    "ALTER TABLE pipeline_learner ADD CONSTRAINT refuse CHECK (lms_user_id <> {})",
    "ALTER TABLE pipeline_learner DROP CONSTRAINT refuse",
)


def test_bad_events_of_a_batch_do_not_hold_back_the_others(
    celery_setup: CeleryTestSetup, school: School, refuse_to_insert: Callable[[int], None]
):
    unwritable, *_ = learners = [school.learner() for _ in range(4)]
    refuse_to_insert(unwritable.id)
    good = [school.message(learner) for learner in learners]
    without_learner = school.message(payload={"is_passing": True})
    of_no_kind = school.message(payload=["neither", "this"])
    from_tomorrow = school.message(time=timezone.now() + timedelta(days=1))
    nudges.evaluate(school.store([without_learner, good[0], of_no_kind, good[1], from_tomorrow, *good[2:]]))
    bad = [without_learner.id, of_no_kind.id, from_tomorrow.id]
    eventually(lambda: {status(message.id) for message in good[1:]} == {"processed"})
    eventually(lambda: school.issued() == [str(learner.id) for learner in learners[1:]])
    eventually(lambda: Event.objects.get(pk=good[0].id).attempts == 1)
    assert {status(event) for event in bad} == {"failed"}
    assert all(Event.objects.get(pk=event).error for event in bad)


def test_signals_that_threads_hand_over_at_one_moment_share_a_message(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nudges, "GATHER_SECONDS", 3.0)

    def hand_over(signal: int) -> None:
        nudges.emit([signal])
        connection.close()

    threads = [Thread(target=hand_over, args=[signal]) for signal in range(1, 21)]
    for thread in threads:
        thread.start()
    [message] = eventually(lambda: celery_broker.container.client.lrange("emit", 0, -1))
    [[signals], _, _] = json.loads(base64.b64decode(json.loads(message)["body"]))
    assert sorted(signals) == list(range(1, 21))


def test_workers_find_their_broker_by_a_sentinel(
    start_worker: StartWorker, redis_program: RedisProgram, celery_setup_app: Celery, school: School, tmp_path: Path
):
    with sentinel(tmp_path / "sentinel", redis_program, program=executable()) as watch:
        for process in ("worker", "credly"):
            start_worker(process, CELERY_BROKER_URL=watch.url).process.wait_for_output("ready.")
        nudges.evaluate([school.passes()])
        eventually(nothing_waits)
    assert school.issued() == ["1"]
