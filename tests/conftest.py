"""Real parts that tests of several rooms share: the Credly emulator and a Redis server."""

from collections.abc import Iterator

import pytest
from django.db import connection

from pipeline.embedded.redis import RedisServer
from tests.credly.emulated_credly import Academy, EmulatedCredly, running_emulator


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in production: in memory, threads do not wait for each other but fail with "locked"."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


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
