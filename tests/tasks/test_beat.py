"""beat and the housekeeping that it sends."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from pytest_celery import CeleryTestSetup

from pipeline.models import Event
from tests.system.conditions import eventually
from tests.tasks.conftest import Start
from tests.tasks.nodes import BrokerNode
from tests.tasks.school import School, nothing_waits


def sent(broker: BrokerNode) -> list[dict[str, Any]]:
    """The headers of the housekeeping messages that no worker has taken, oldest first."""
    with broker.container.client as redis:
        return [json.loads(message)["headers"] for message in reversed(redis.lrange("housekeeping", 0, -1))]


def test_housekeeping_is_sent_every_five_seconds_and_expires_after_a_minute(celery_broker: BrokerNode, start: Start):
    start("beat")
    eventually(lambda: sent(celery_broker))
    seen = timezone.now()
    first, second = eventually(lambda: sent(celery_broker)[:2] if len(sent(celery_broker)) > 1 else [])
    assert (first["task"], second["task"]) == ("housekeeping", "housekeeping")
    first_ends, second_ends = (datetime.fromisoformat(headers["expires"]) for headers in (first, second))
    assert first_ends - seen <= timedelta(seconds=60)
    assert timedelta(seconds=4) < second_ends - first_ends < timedelta(seconds=10)


def test_two_beats_at_once_do_no_harm(celery_setup: CeleryTestSetup, start: Start, school: School):
    for _ in range(2):
        start("beat").wait_for_output("beat: Starting")
    events = school.store([school.message() for _ in range(20)])
    Event.objects.filter(pk__in=events).update(due_at=timezone.now())
    eventually(nothing_waits)
    assert school.issued() == sorted(str(number) for number in range(1, 21))
    worker = celery_setup.worker
    eventually(lambda: worker.logs().count("Task housekeeping[") >= 2 * 2)
    assert school.issued() == sorted(str(number) for number in range(1, 21))
