"""Connections to the Redis server of the event bus."""

from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

BLOCK_MS = 2_000
"""How long a read waits for news: short enough to stop within seconds of SIGTERM."""

_ANSWER_SECONDS = 6.0
_CONNECT_SECONDS = 3.0
_IDLE_CHECK_SECONDS = 30


def connect(url: str | None = None) -> Redis:
    """A client for the event bus; no connection is opened before its first command.

    ``url`` defaults to ``settings.EVENT_BUS_REDIS_CONNECTION_URL``. Answers are bytes. An answer may take three times
    `BLOCK_MS`, so that a server that hangs is noticed but a blocking read never is; a connection idle for 30 seconds
    is checked before use, since firewalls drop idle ones silently. Commands are not repeated behind the caller's
    back: a lost answer to a read means entries that were delivered and never seen, and the reader must know that.
    """
    url = url or settings.EVENT_BUS_REDIS_CONNECTION_URL
    # redis-py refuses it for a socket on this machine.
    over_tcp: Any = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return Redis.from_url(
        url,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        **over_tcp,
        health_check_interval=_IDLE_CHECK_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
