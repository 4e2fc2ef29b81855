"""Old and new workers side by side: what a message looks like, and that today's workers take it.

During an upgrade the processes of one version send to those of another.  A line here may be added; whoever changes or
removes one breaks a running upgrade (docs/deployment/upgrading.md tells how it is done in two releases).
"""

import base64
import inspect
import json
import uuid
from typing import Any

import pytest
from celery import Celery

from pipeline import nudges
from tests.tasks.nodes import BrokerNode

EVENT = uuid.UUID("6f1e2a52-43a6-4b07-9a3f-0b0a3c1f7f55")

# task: its queue, and the arguments of a message
MESSAGES: dict[str, tuple[str, list[Any]]] = {
    "evaluate": ("evaluate", [[str(EVENT)]]),
    "persist": ("persist", [[str(EVENT)]]),
    "issue": ("issue", [[1]]),
    "emit": ("emit", [[1]]),
    "recheck": ("recheck", [1]),
    "webhook": ("webhook", [1]),
    "sync": ("sync", [1]),
    "reconcile": ("sync", [1]),
    "purge": ("housekeeping", []),
}
FROM_BEAT = {"housekeeping", "sync_all", "reconcile_all", "purge"}
NUDGES = {
    "evaluate": lambda: nudges.evaluate([EVENT]),
    "persist": lambda: nudges.persist([EVENT]),
    "issue": lambda: nudges.issue([1]),
    "emit": lambda: nudges.emit([1]),
    "recheck": lambda: nudges.recheck([1]),
    "webhook": lambda: nudges.webhook([1]),
    "sync": lambda: nudges.sync([1]),
    "reconcile": lambda: nudges.reconcile([1]),
    "purge": lambda: nudges.purge(),
}


def sent(broker: BrokerNode, queue: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Task, arguments and named arguments of the one message in a queue."""
    with broker.container.client as redis:
        [message] = [json.loads(text) for text in redis.lrange(queue, 0, -1)]
    arguments, named, _ = json.loads(base64.b64decode(message["body"]))
    return message["headers"]["task"], arguments, named


@pytest.mark.parametrize("task", MESSAGES)
def test_a_nudge_has_the_form_that_workers_of_every_version_know(
    task: str, celery_broker: BrokerNode, celery_setup_app: Celery, database: object
):
    NUDGES[task]()
    queue, arguments = MESSAGES[task]
    assert sent(celery_broker, queue) == (task, arguments, {})


def test_todays_workers_take_every_message(celery_setup_app: Celery):
    celery_setup_app.loader.import_default_modules()
    tasks = {name: task for name, task in celery_setup_app.tasks.items() if task.run.__module__.startswith("tasks.")}
    assert set(tasks) == set(MESSAGES) | FROM_BEAT
    for name, (queue, arguments) in MESSAGES.items():
        inspect.signature(tasks[name].run).bind(*arguments)
        assert celery_setup_app.conf.task_routes[name] == {"queue": queue}


def test_beat_sends_tasks_without_arguments_that_workers_know(celery_setup_app: Celery):
    schedule = celery_setup_app.conf.beat_schedule
    assert {entry["task"] for entry in schedule.values()} == FROM_BEAT
    assert all(not entry.get("args") and not entry.get("kwargs") for entry in schedule.values())
