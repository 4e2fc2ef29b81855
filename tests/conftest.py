"""Real parts that tests of several rooms share: the Credly emulator and a Redis server."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from hypothesis import settings as hypothesis_settings
from redis import Redis

from pipeline import measures
from pipeline.embedded.redis import RedisServer
from tests.credly.emulated_credly import Academy, EmulatedCredly, running_emulator

# A busy machine makes any example slow.  The examples are the same each time, so that what fails is the change; who looks for
# more asks for them.
hypothesis_settings.register_profile(
    "anywhere", deadline=None, print_blob=True, derandomize=os.environ.get("HYPOTHESIS_PROFILE") != "thorough"
)
hypothesis_settings.load_profile("anywhere")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in production: in memory, threads do not wait for each other but fail with "locked"."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def shared_redis(redis_server: RedisServer, settings: Any) -> Iterator[Redis]:
    """Broker and bus, empty, where this process adds what it measures; what earlier tests measured is forgotten."""
    settings.CELERY_BROKER_URL = settings.EVENT_BUS_REDIS_CONNECTION_URL = redis_server.url
    measures._store._sums.clear()
    measures._store._moments.clear()
    with Redis.from_url(redis_server.url) as client:
        client.flushdb()
        yield client


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[EmulatedCredly]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: EmulatedCredly) -> EmulatedCredly:
    """The emulator as fresh as on its first day."""
    emulator_process.control("POST", "reset")
    return emulator_process


@pytest.fixture
def academy(emulator: EmulatedCredly) -> Academy:
    return emulator.academy()
