"""Nodes for pytest-celery on this machine: a broker and workers of this project's own app, with the test's own database.

Each test has a Redis server and a school at Credly of its own, which the test sees as its workers do; the Credly emulator and
the database, which is emptied after each, serve all tests of a process.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from pytest_celery import CeleryTestSetup, CeleryWorkerCluster

from pipeline import brokers, nudges
from pipeline.embedded.process import ChildProcess
from pipeline.embedded.rabbitmq import RabbitMQServer
from pipeline.embedded.redis import servers
from tests.credly.emulated_credly import EmulatedCredly, running_emulator
from tests.databases import patient
from tests.tasks.nodes import (
    PROJECT,
    BrokerNode,
    LocalContainer,
    LocalRedisContainer,
    ProcfileContainer,
    RedisProgram,
    WorkerNode,
    procfile,
)
from tests.tasks.rabbitmq_nodes import RabbitMQNode, rabbitmq_node, running_rabbitmq
from tests.tasks.school import School

PATIENCE_SECONDS = 20
"""How long a process waits where a test has locked the database: for longer than a worker may take to end."""

Start = Callable[..., ChildProcess]
StartWorker = Callable[..., WorkerNode]
Blocked = Callable[[], AbstractContextManager[None]]
Forget = Callable[[], None]

OTHER_REDIS = servers() if os.environ.get("REDIS_SERVERS") == "all" else {}

on_every_broker = pytest.mark.parametrize("broker_kind", ["redis", "rabbitmq", *OTHER_REDIS])
"""The same tests, other broker."""


def use_broker(app: Celery, url: str) -> None:
    """Have an app that was set up for another broker use this one, as if it had been started with its URL."""
    broker = brokers.read(url)
    names = {route["queue"] for route in app.conf.task_routes.values()}
    app.conf.update(
        broker_url=broker.url,
        broker_read_url=broker.url,
        broker_write_url=broker.url,
        broker_use_ssl=broker.ssl,
        broker_transport_options=broker.options,
        task_queues=broker.queues(sorted(names)),
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/tasks/" in str(item.path):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def credly() -> Iterator[EmulatedCredly]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def database(transactional_db: None) -> str:
    """The URL of the test's own database, for its processes; what they leave in it is gone after the test."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return patient(f"sqlite:///{name}", PATIENCE_SECONDS)
    return patient(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(), PATIENCE_SECONDS)


@pytest.fixture
def redis_password() -> str:
    """None is needed."""
    return ""


@pytest.fixture
def redis_program(tmp_path: Path, redis_password: str, broker_kind: str) -> Iterator[RedisProgram]:
    """A Redis server of the test's own: database 1 is the event bus, and 0 the broker where that is Redis."""
    with RedisProgram(tmp_path / "redis", redis_password, OTHER_REDIS.get(broker_kind)) as server:
        yield server


@pytest.fixture
def bus_url(redis_program: RedisProgram) -> str:
    return redis_program.database(1)


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQServer]:
    with running_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture
def broker_kind() -> str:
    """Redis.  A module whose tests hold on RabbitMQ too says `pytestmark = on_every_broker`."""
    return "redis"


@pytest.fixture
def celery_broker(
    broker_kind: str, redis_program: RedisProgram, request: pytest.FixtureRequest
) -> Iterator[BrokerNode | RabbitMQNode]:
    if broker_kind == "rabbitmq":
        with rabbitmq_node(request.getfixturevalue("rabbitmq")) as node:
            yield node
    else:
        yield BrokerNode(LocalRedisContainer(LocalContainer("broker", redis_program)))


@pytest.fixture
def celery_backend_cluster() -> None:
    """There is none: nobody waits for a result."""


@pytest.fixture
def celery_setup_app(celery_broker: BrokerNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """The app with which the test nudges and looks at workers: our own settings, and the test's broker."""
    app = Celery("pipeline", set_as_current=False)
    app.config_from_object("celeryconfig")
    use_broker(app, celery_broker.url)
    monkeypatch.setattr(nudges, "app", app)
    yield app
    app.pool.force_close_all()


@pytest.fixture
def environment(database: str, celery_broker: BrokerNode, bus_url: str, credly: EmulatedCredly) -> dict[str, str]:
    """The environment of every process.  The event bus is another database of the broker's server, or another server."""
    inherited = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": settings.SECRET_KEY,  # with another one the API keys in the database could not be read
        "DATABASE_URL": database,
        "CELERY_BROKER_URL": celery_broker.url,
        "EVENT_BUS_REDIS_CONNECTION_URL": bus_url,
        "BADGES_ENABLED": "true",
        "CREDLY_API_BASE_URL": credly.api,
        "WORKER_CONCURRENCY": "2",
        "CREDLY_CONCURRENCY": "4",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts a process of the Procfile: `start("beat", *flags, VARIABLE=value)`.

    It is killed after the test, when nobody waits for what it might hand back.
    """
    started: list[ChildProcess] = []

    def start(process: str, *flags: str, **variables: str) -> ChildProcess:
        name = f"{process}.{len(started) + 1}"
        child = ChildProcess(
            name,
            " ".join([procfile(process), *flags]),
            folder=PROJECT,
            log=tmp_path / "logs" / f"{name}.log",
            environment={**environment, "PS": name, **variables},
        )
        started.append(child)
        child.start()
        return child

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def start_worker(start: Start, celery_setup_app: Celery) -> StartWorker:
    """Starts a worker of the Procfile as a node, like `start`; ready only once its `ready()` returned."""

    def start_worker(process: str, *flags: str, **variables: str) -> WorkerNode:
        child = start(process, *flags, **variables)
        return WorkerNode(ProcfileContainer(LocalContainer(child.name, child)), celery_setup_app)

    return start_worker


@pytest.fixture
def celery_worker_cluster(start_worker: StartWorker) -> CeleryWorkerCluster:
    """One worker of each kind."""
    cluster = CeleryWorkerCluster(start_worker("worker"), start_worker("credly"))
    assert cluster.ready()
    return cluster


@pytest.fixture
def worker(celery_setup: CeleryTestSetup) -> WorkerNode:
    return celery_setup.worker_cluster[0]


@pytest.fixture
def credly_worker(celery_setup: CeleryTestSetup) -> WorkerNode:
    return celery_setup.worker_cluster[1]


BLOCKING = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "BEGIN; LOCK TABLE pipeline_event IN EXCLUSIVE MODE",
    "mysql": "LOCK TABLES pipeline_event READ",
}


@pytest.fixture
def writes_blocked(database: str) -> Blocked:
    """While `writes_blocked()` lasts, whoever writes to an event waits (and so a worker holds its task)."""

    @contextmanager
    def blocked() -> Iterator[None]:
        with closing(connection.copy()) as another, another.cursor() as cursor:
            cursor.execute(BLOCKING[connection.vendor])
            yield

    return blocked


SESSIONS = {
    # Those that wait for a lock, and how one is ended.
    "postgresql": (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        "SELECT pg_terminate_backend(%s, 5000)",
    ),
    "mysql": (
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE 'Waiting for%%'",
        "KILL %s",
    ),
}


@pytest.fixture
def last_words_unheard(database: str) -> Forget:
    """Has a server forget what those who wait for a lock have asked for; else it does that also for the dead."""

    def forget() -> None:
        if connection.vendor == "sqlite":
            return
        waiting, end = SESSIONS[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(waiting, [])
            for (session,) in cursor.fetchall():
                cursor.execute(end, [session])

    return forget


@pytest.fixture
def school(database: str, credly: EmulatedCredly) -> School:
    return School(credly)
