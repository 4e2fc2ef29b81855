"""The way of an event through real workers."""

from pytest_celery import CeleryTestSetup
from redis import Redis

from pipeline import nudges
from pipeline.models import Signal
from tests.system.conditions import eventually
from tests.tasks.nodes import WorkerNode
from tests.tasks.school import School, nothing_waits, status


def test_one_nudge_carries_an_event_through_all_stages(
    celery_setup: CeleryTestSetup, worker: WorkerNode, credly_worker: WorkerNode, school: School
):
    event = school.passes()
    nudges.evaluate([event])
    eventually(nothing_waits)
    assert status(event) == "processed"
    assert school.issued() == ["1"]
    assert Signal.objects.get().state == "sent"
    with Redis(port=celery_setup.broker.server.port, db=1) as bus:
        assert bus.xlen("learning-badges-lifecycle") == 1
    for task in ("evaluate", "persist", "emit"):
        eventually(lambda task=task: f"Task {task}[" in worker.logs())
    assert "Task issue[" in credly_worker.logs()
    assert "Task issue[" not in worker.logs()
