"""Real servers: the oldest Redis and the newest Valkey that are to be had; with `REDIS_SERVERS=all` all of them."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis import Redis

from pipeline.bus.connection import connect
from pipeline.embedded.redis import RedisServer
from tests.redis_kinds import kinds

TOPIC = "learning-badges-lifecycle"


@pytest.fixture(scope="session", params=kinds(ends_only=os.environ.get("REDIS_SERVERS") != "all"))
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis"), program=request.param) as server:
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
