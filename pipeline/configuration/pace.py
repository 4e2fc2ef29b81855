"""How fast and how many at once Credly is called for one organization.

The rate holds over all processes: calls are counted in Redis.  While that is away each process counts for itself, for
counting must never stop badges.  How many are at once is counted per process, as `CREDLY_CONCURRENCY` is.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings
from limits import RateLimitItemPerSecond

from pipeline import measures
from pipeline.counting import Counter
from pipeline.models import Organization

WINDOW_SECONDS = 5
"""Calls are counted over so long, so a burst of five seconds' worth may go at once.  As long as the time from one housekeeping
to the next, which nudges what was held back: a shorter window would stay unused in between."""

HELD_BACK = timedelta(seconds=1)
"""After this what was over the limit is due again."""

LOOK_AGAIN_SECONDS = 0.5

_calls = Counter("Calls to Credly")


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
    if not rate:
        return True
    most = RateLimitItemPerSecond(rate * WINDOW_SECONDS, WINDOW_SECONDS, namespace="badges-credly")
    if _calls.hit(most, str(organization.uuid), times=min(calls, most.amount)):
        return True
    measures.CREDLY_HELD_BACK.add(1, str(organization.uuid))
    return False


def wait(organization: Organization, seconds: float) -> bool:
    """Wait until one call may be made, but no longer than that; says whether it may.  For who makes many in a row."""
    until = time.monotonic() + seconds
    while not may_call(organization):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_AGAIN_SECONDS)
    return True


@cache
def _places(organization: UUID, most: int) -> BoundedSemaphore:
    return BoundedSemaphore(most)
