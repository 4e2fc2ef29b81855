"""Old and new workers side by side: during an upgrade the processes of one version send to those of another.

`messages/` has a file per version: its tasks, their queues, and the arguments that it `sends`; where its workers take another
form too, that is in `also_takes`.  The newest file is that of the version in work.  The others are released: whoever changes
one breaks a running upgrade (docs/deployment/upgrading.md tells how a form is changed in two releases).
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pytest_celery import CeleryTestSetup

from pipeline import nudges
from tests.system.conditions import eventually
from tests.tasks.nodes import PROJECT, BrokerNode, WorkerNode

Tasks = Mapping[str, Mapping[str, Any]]

EVENT = uuid.UUID("6f1e2a52-43a6-4b07-9a3f-0b0a3c1f7f55")
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
    "backfill": lambda: nudges.backfill([(1, 2)]),
}


def age(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


FILES = sorted(Path(__file__).with_name("messages").glob("*.json"), key=lambda file: age(file.stem))
VERSIONS: dict[str, Tasks] = {file.stem: json.loads(file.read_text()) for file in FILES}
BEFORE_COMPATIBILITY = "0.1.0"
COMPATIBLE = [version for version in VERSIONS if version != BEFORE_COMPATIBILITY]
IN_WORK = VERSIONS[COMPATIBLE[-1]]


def taken(tasks: Tasks, name: str) -> list[list[Any]]:
    """The forms of a task that this version's workers take."""
    task = tasks.get(name, {})
    return [*([task["sends"]] if "sends" in task else []), *task.get("also_takes", [])]


def misunderstood(sender: Tasks, receiver: Tasks) -> list[str]:
    """The tasks that both know, and that one sends in another way than the other takes them."""
    return [
        name
        for name, task in sender.items()
        if name in receiver
        and "sends" in task
        and (task["sends"] not in taken(receiver, name) or task["queue"] != receiver[name]["queue"])
    ]


def sent(broker: BrokerNode, queue: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Task, arguments and named arguments of the one message in a queue."""
    with broker.container.client as redis:
        [message] = [json.loads(text) for text in redis.lrange(queue, 0, -1)]
    arguments, named, _ = json.loads(base64.b64decode(message["body"]))
    return message["headers"]["task"], arguments, named


@pytest.mark.parametrize("task", NUDGES)
def test_a_nudge_has_the_form_that_its_version_is_to_send(
    task: str, celery_broker: BrokerNode, celery_setup_app: Celery, database: object
):
    NUDGES[task]()
    assert sent(celery_broker, IN_WORK[task]["queue"]) == (task, IN_WORK[task]["sends"], {})


def test_beat_sends_tasks_without_arguments_as_its_version_is_to(celery_setup_app: Celery):
    entries = list(celery_setup_app.conf.beat_schedule.values())
    assert {entry["task"] for entry in entries} == {name for name, task in IN_WORK.items() if task.get("sends") == []}
    assert all(not entry.get("args") and not entry.get("kwargs") for entry in entries)


def test_every_task_is_in_the_file_of_its_version(celery_setup_app: Celery):
    celery_setup_app.loader.import_default_modules()
    tasks = [task for task in celery_setup_app.tasks.values() if task.run.__module__.startswith("tasks.")]
    assert {task.name for task in tasks} == set(IN_WORK)
    routes = celery_setup_app.conf.task_routes
    assert {name: task["queue"] for name, task in IN_WORK.items()} == {name: routes[name]["queue"] for name in IN_WORK}


def test_every_released_version_has_its_file():
    released = re.findall(r"^## \[(\d[\d.]*)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(released) <= set(VERSIONS)


def test_no_form_changed_from_one_version_to_the_next_since_they_run_side_by_side():
    """The versions before, where forms did change, show that it would be noticed."""
    broken = {}
    for older, newer in pairwise(VERSIONS):
        lost = [name for name, task in VERSIONS[older].items() if "sends" in task and name not in VERSIONS[newer]]
        faults = [
            misunderstood(VERSIONS[older], VERSIONS[newer]),
            misunderstood(VERSIONS[newer], VERSIONS[older]),
            lost,
        ]
        if any(faults):
            broken[older, newer] = faults
    changed = ["persist", "issue", "emit"]
    assert broken == {(BEFORE_COMPATIBILITY, COMPATIBLE[0]): [changed, changed, []]}


def messages(tasks: Tasks) -> Iterator[tuple[str, list[Any], str]]:
    """Every message that this version's workers take."""
    for name, task in tasks.items():
        for arguments in taken(tasks, name):
            yield name, arguments, task["queue"]


def test_todays_workers_take_every_message_of_their_version_and_the_one_before(
    celery_setup: CeleryTestSetup, worker: WorkerNode, credly_worker: WorkerNode
):
    """And the control: the form of a version with which this one can't run side by side fails in them."""
    last_two = [message for version in COMPATIBLE[-2:] for message in messages(VERSIONS[version])]
    strange = list(messages(VERSIONS[BEFORE_COMPATIBILITY]))
    outcomes = {}
    for name, arguments, queue in [*last_two, *strange]:
        message = celery_setup.app.send_task(name, args=arguments, queue=queue)
        ended = re.compile(rf"Task {name}\[{message.id}\] (succeeded|raised)|unregistered task of type '{name}'")
        end = eventually(lambda ended=ended: ended.search(worker.logs() + credly_worker.logs()))
        outcomes[name, json.dumps(arguments)] = end[1] == "succeeded"
    assert [key for key, succeeded in outcomes.items() if not succeeded] == [
        (name, json.dumps(VERSIONS[BEFORE_COMPATIBILITY][name]["sends"])) for name in ("persist", "issue", "emit")
    ]
