"""Flower on RabbitMQ: with its management plugin, and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from pipeline import nudges
from pipeline.embedded.rabbitmq import RabbitMQServer
from pipeline.embedded.redis import free_port
from tests.system.conditions import eventually
from tests.tasks.conftest import Start, StartWorker
from tests.tasks.rabbitmq_nodes import RabbitMQNode, running_rabbitmq
from tests.tasks.school import School, nothing_waits
from tests.tasks.test_flower import LOGIN, all_succeeded, fetched

USER, PASSWORD = "badges", "rabbitmq-password"
PLUGIN = "rabbitmq_management"
QUEUES = {"evaluate", "persist", "issue", "emit", "housekeeping", "recheck", "webhook", "sync"}


@pytest.fixture
def broker_kind() -> str:
    return "rabbitmq"


@pytest.fixture
def management_port() -> int:
    return free_port()


@pytest.fixture(params=[(), (PLUGIN,)], ids=["without", "with"])
def plugins(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def rabbitmq(tmp_path: Path, plugins: tuple[str, ...], management_port: int) -> Iterator[RabbitMQServer]:
    listening = (f"management.tcp.port = {management_port}", "management.tcp.ip = 127.0.0.1")
    with running_rabbitmq(tmp_path / "rabbitmq", *(listening if plugins else ()), plugins=plugins) as server:
        server.control("add_user", USER, PASSWORD)
        server.control("set_user_tags", USER, "management")
        yield server


@pytest.fixture
def url(celery_broker: RabbitMQNode) -> str:
    """Of the broker, for a user with a password."""
    server, host = celery_broker.server.server, celery_broker.server.name
    server.control("set_permissions", "-p", host, USER, ".*", ".*", ".*")
    return server.url(host, f"{USER}:{PASSWORD}")


def test_flower_shows_workers_and_tasks_and_with_the_plugin_the_queues_too(
    url: str,
    plugins: tuple[str, ...],
    management_port: int,
    celery_setup_app: Celery,
    start: Start,
    start_worker: StartWorker,
    school: School,
):
    for process in ("worker", "credly"):
        assert start_worker(process, CELERY_BROKER_URL=url).ready()
    port, api = free_port(), f"http://{USER}:{PASSWORD}@127.0.0.1:{management_port}/api/"
    login = {"FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": ":".join(LOGIN)}
    start("flower", CELERY_BROKER_URL=url, FLOWER_BROKER_API=api, **login).wait_for_output("Visit me at")
    flower = f"http://127.0.0.1:{port}"
    eventually(lambda: len(fetched(f"{flower}/api/workers?refresh=1").json()) == 2)
    nudges.evaluate([school.passes()])
    eventually(nothing_waits)
    tasks = eventually(lambda: all_succeeded(flower))

    shown = fetched(f"{flower}/api/queues/length")
    queues = {queue["name"] for queue in shown.json()["active_queues"]}
    assert queues == (QUEUES if plugins else set())
    pages = [fetched(flower + path) for path in ("/", "/tasks", "/broker", "/api/workers", f"/task/{tasks[0]}")]
    assert {page.status_code for page in pages} == {200}
    assert [page.url for page in (*pages, shown) if PASSWORD in page.text] == []
