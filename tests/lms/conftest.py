"""A real Redis, and this project's commands as real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from pipeline.bus.codec import DecodedMessage, decode
from pipeline.embedded.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
TOPIC = "learning-badges-lifecycle"


class Bus:
    """One test's own stream on a server, and commands that use it."""

    def __init__(self, url: str) -> None:
        self.prefix = f"test-{uuid4()}"
        self.stream = f"{self.prefix}-{TOPIC}"
        self.client = Redis.from_url(url)
        self.environment = {
            **os.environ,
            "DEBUG": "true",
            "BADGES_ENABLED": "true",
            "REDIS_URL": url,
            "EVENT_BUS_TOPIC_PREFIX": self.prefix,
            "DJANGO_SETTINGS_MODULE": "pipeline.settings",
        }

    def produce(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "produce_events", *arguments],
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def messages(self) -> list[DecodedMessage]:
        decoded: list[Any] = [decode(*entry, stream=self.stream) for entry in self.client.xrange(self.stream)]
        assert all(isinstance(message, DecodedMessage) for message in decoded)
        return decoded


@pytest.fixture
def bus(redis_server: RedisServer) -> Iterator[Bus]:
    bus = Bus(redis_server.url)
    yield bus
    bus.client.close()
