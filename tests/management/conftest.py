"""What commands that send work need."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from pipeline import nudges
from pipeline.embedded.redis import RedisServer


@pytest.fixture
def broker(redis_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """The broker, empty, with nobody to take anything from it; badges are switched on."""
    settings.BADGES_ENABLED = True
    app = Celery("pipeline", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.update(broker_url=redis_server.url, broker_read_url=redis_server.url, broker_write_url=redis_server.url)
    monkeypatch.setattr(nudges, "app", app)
    with Redis.from_url(redis_server.url) as client:
        client.flushdb()
        yield client
