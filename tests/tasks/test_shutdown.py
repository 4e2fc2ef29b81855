"""SIGTERM: gone within ten seconds, and what was held is finished by the next worker."""

import signal
import subprocess

import pytest
from celery import Celery
from django.utils import timezone

from pipeline import nudges
from pipeline.models import Badge
from tests.system.conditions import eventually
from tests.tasks.conftest import Blocked, Forget, StartWorker, on_every_broker
from tests.tasks.nodes import BrokerNode, WorkerNode
from tests.tasks.school import School, nothing_waits, status

CONTRACT_SECONDS = 10

pytestmark = on_every_broker

GIVEN_BACK_SECONDS = 15
"""How long RabbitMQ may take to tell, and far less than a message that was not given back would wait on Redis."""


def stopped_in_time(worker: WorkerNode) -> bool:
    worker.process.send(signal.SIGTERM)
    worker.process.wait(CONTRACT_SECONDS)
    return True


def test_an_idle_worker_ends_in_time(start_worker: StartWorker):
    worker, credly = start_worker("worker"), start_worker("credly")
    for node in (worker, credly):
        assert node.ready()
        assert stopped_in_time(node)


def test_a_worker_ends_in_time_while_its_broker_hangs(start_worker: StartWorker, celery_broker: BrokerNode):
    workers = start_worker("worker"), start_worker("credly")
    for worker in workers:
        assert worker.ready()
    celery_broker.server.freeze()
    for worker in workers:
        assert stopped_in_time(worker)


def test_control_a_worker_that_takes_leave_of_a_broker_that_hangs_never_ends(
    start_worker: StartWorker, celery_broker: BrokerNode
):
    worker = start_worker("worker", "-I", "tests.tasks.careless", WITHOUT="leaving in time")
    assert worker.ready()
    celery_broker.server.freeze()
    with pytest.raises(subprocess.TimeoutExpired):
        stopped_in_time(worker)


def test_a_worker_that_cannot_finish_hands_back_what_it_holds(
    start_worker: StartWorker,
    celery_broker: BrokerNode,
    school: School,
    writes_blocked: Blocked,
    last_words_unheard: Forget,
):
    worker = start_worker("worker")
    assert worker.ready()
    events = school.store([school.message() for _ in range(5)])
    with writes_blocked():
        for event in events:
            nudges.persist([event])
        eventually(lambda: len(worker.active("persist")) == 2)
        eventually(lambda: celery_broker.taken() == 5)
        assert stopped_in_time(worker)
        last_words_unheard()
        eventually(lambda: (celery_broker.waiting("persist"), celery_broker.taken()) == (5, 0), GIVEN_BACK_SECONDS)
    start_worker("worker")
    eventually(lambda: {status(event) for event in events} == {"processed"})


def test_a_worker_that_waits_for_credly_ends_in_time_and_each_badge_is_issued_once(
    start_worker: StartWorker, celery_broker: BrokerNode, school: School, celery_setup_app: Celery
):
    worker, credly = start_worker("worker"), start_worker("credly")
    assert worker.ready()
    assert credly.ready()
    school.fault(delay=60, times=4)
    for event in school.store([school.message() for _ in range(6)]):
        nudges.evaluate([event])  # alone, so that their badges share no message
    eventually(lambda: len(school.calls("POST")) == 4)
    eventually(lambda: (celery_broker.waiting("issue"), celery_broker.taken()) == (2, 4))
    assert stopped_in_time(credly)
    eventually(lambda: (celery_broker.waiting("issue"), celery_broker.taken()) == (6, 0), GIVEN_BACK_SECONDS)
    start_worker("credly")
    # As if the claims of the calls whose answers never came had run out.
    Badge.objects.exclude(claimed_until=None).update(claimed_until=timezone.now())
    Badge.objects.filter(due_at__isnull=False).update(due_at=timezone.now(), nudged_at=None)
    celery_setup_app.send_task("housekeeping")
    eventually(nothing_waits)
    assert school.issued() == ["1", "2", "3", "4", "5", "6"]
