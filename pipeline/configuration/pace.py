"""How fast and how many at once Credly is called for one organization.

The rate holds over all processes: calls are counted in Redis.  While that is away each process counts for itself, for
counting must never stop badges.  How many are at once is counted per process, as `CREDLY_CONCURRENCY` is.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

from pipeline import measures
from pipeline.models import Organization

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 5
"""Calls are counted over so long, so a burst of five seconds' worth may go at once.  As long as the time from one housekeeping
to the next, which nudges what was held back: a shorter window would stay unused in between."""

HELD_BACK = timedelta(seconds=1)
"""After this what was over the limit is due again."""

AWAY_SECONDS = 60.0
"""For so long Redis is not asked again after it failed: so it costs one timeout and one warning a minute."""

ANSWER_SECONDS = 0.5
LOOK_AGAIN_SECONDS = 0.5

_redis_away_until = 0.0


@contextmanager
def turn(organization: Organization, calls: int = 1) -> Iterator[bool]:
    """Whether that many calls may be made now; they count, and the place among those at once is kept meanwhile."""
    most = settings.CREDLY_CONCURRENCY_PER_ORGANIZATION
    if not most:
        yield may_call(organization, calls)
        return
    places = _places(organization.uuid, most)
    if not places.acquire(blocking=False):
        yield False
        return
    try:
        yield may_call(organization, calls)
    finally:
        places.release()


def may_call(organization: Organization, calls: int = 1) -> bool:
    """Whether that many calls may be made now; if so they count.  One round trip to Redis."""
    rate = settings.CREDLY_RATE_LIMIT
    if not rate or _hit(organization, rate, calls):
        return True
    measures.CREDLY_HELD_BACK.add(1, str(organization.uuid))
    return False


def _hit(organization: Organization, rate: int, calls: int) -> bool:
    most = RateLimitItemPerSecond(rate * WINDOW_SECONDS, WINDOW_SECONDS, namespace="badges-credly")
    cost = min(calls, most.amount)
    key = str(organization.uuid)
    global _redis_away_until
    if time.monotonic() >= _redis_away_until:
        try:
            return _shared(_redis_url()).hit(most, key, cost=cost)
        except (RedisError, OSError) as error:
            _redis_away_until = time.monotonic() + AWAY_SECONDS
            logger.warning("Calls to Credly are counted per process: Redis does not answer (%s)", type(error).__name__)
    return _own().hit(most, key, cost=cost)


def wait(organization: Organization, seconds: float) -> bool:
    """Wait until one call may be made, but no longer than that; says whether it may.  For who makes many in a row."""
    until = time.monotonic() + seconds
    while not may_call(organization):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_AGAIN_SECONDS)
    return True


def _redis_url() -> str:
    """The broker's Redis; the event bus's where the broker is none."""
    broker: str = settings.CELERY_BROKER_URL
    if broker.startswith(("redis://", "rediss://")):
        return broker
    bus: str = settings.EVENT_BUS_REDIS_CONNECTION_URL
    return f"redis+{bus}" if bus.startswith("unix://") else bus


@cache
def _shared(url: str) -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(
        RedisStorage(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS)
    )


@cache
def _own() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


@cache
def _places(organization: UUID, most: int) -> BoundedSemaphore:
    return BoundedSemaphore(most)
