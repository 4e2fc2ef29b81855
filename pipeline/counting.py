"""Counting how often something happens over all processes, in Redis.

While Redis is away each process counts for itself: who only counts must stop nobody.
"""

import logging
import time
from functools import cache

from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

AWAY_SECONDS = 60.0
"""For so long Redis is not asked again after it failed: so it costs one timeout and one warning a minute."""

ANSWER_SECONDS = 0.5


class Counter:
    """Counts one kind of thing.

    Args:
        what: for the log, such as "Logins".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._redis_away_until = 0.0

    def hit(self, limit: RateLimitItem, *key: str, times: int = 1) -> bool:
        """Whether it may happen so many times more; if so they count.  One round trip to Redis."""
        if time.monotonic() >= self._redis_away_until:
            try:
                return _shared(redis_url()).hit(limit, *key, cost=times)
            except (RedisError, OSError) as error:
                self._go_without(error)
        return self._own.hit(limit, *key, cost=times)

    def clear(self, limit: RateLimitItem, *key: str) -> None:
        """Count from nought again.  May be repeated."""
        self._own.clear(limit, *key)
        if time.monotonic() >= self._redis_away_until:
            try:
                _shared(redis_url()).clear(limit, *key)
            except (RedisError, OSError) as error:
                self._go_without(error)

    def _go_without(self, error: Exception) -> None:
        self._redis_away_until = time.monotonic() + AWAY_SECONDS
        logger.warning("%s are counted per process: Redis does not answer (%s)", self._what, type(error).__name__)


def redis_url() -> str:
    """The broker's Redis; the event bus's where the broker is none."""
    broker: str = settings.CELERY_BROKER_URL
    bus: str = settings.EVENT_BUS_REDIS_CONNECTION_URL
    url = broker if broker.startswith(("redis://", "rediss://", "unix://")) else bus
    return f"redis+{url}" if url.startswith("unix://") else url


@cache
def _shared(url: str) -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(
        RedisStorage(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
    )
