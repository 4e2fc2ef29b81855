"""The page that Prometheus reads, from whichever web process it asks.

What stands, in the database and on the bus, is kept for a while.  What processes measured is read each time: it costs one round
trip, and kept by each web process for a time of its own, counters would go back from one scrape to the next.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from django.db import DatabaseError, InterfaceError
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from redis.exceptions import RedisError

from pipeline.bus.unavailable import BusUnavailable
from pipeline.metrics import bus, ledgers, measured
from pipeline.metrics.gauges import gauge_by

logger = logging.getLogger(__name__)

KEPT_SECONDS = 10.0
"""How long what stands is kept, so that scraping more often costs nothing; and how long at most while a part is missing."""

REST = 50
"""And at least so many times as long as it took: as long as that is a second, scraping takes two percent of a connection."""

LONGEST_KEPT_SECONDS = 60.0

Parts = Mapping[str, Callable[[], Iterable[Metric]]]
Found = tuple[list[Metric], dict[str, float]]
"""Metrics, and of each part whether it is among them."""

STANDING: Parts = {"database": ledgers.gauges, "bus": bus.gauges}
"""The database first: it knows which of the bus's consumer groups are ours."""

FLOWING: Parts = {"measures": measured.families}


class Exposition:
    """Makes the page.  Threads may share it: one asks what stands, and those that come meanwhile take what was known before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Found | None = None
        self._kept_until = 0.0

    def page(self) -> bytes:
        """All metrics as text.  Raises nothing: a part that does not answer is missing and `badges_up` says so."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Every metric, as `prometheus_client` asks for them."""
        standing, standing_up = self._standing()
        flowing, flowing_up = _ask(FLOWING)
        yield from standing
        yield from flowing
        up = standing_up | flowing_up
        yield gauge_by("part", "badges_up", "Whether the metrics of this part are here.", up)

    def _standing(self) -> Found:
        known = self._known
        if self._lock.acquire(blocking=known is None):
            try:
                if self._known is None or time.monotonic() >= self._kept_until:
                    self._known = self._ask_what_stands()
                known = self._known
            finally:
                self._lock.release()
        return known or ([], {})

    def _ask_what_stands(self) -> Found:
        started = time.monotonic()
        known = _ask(STANDING)
        ended = time.monotonic()
        longest = LONGEST_KEPT_SECONDS if all(known[1].values()) else KEPT_SECONDS
        self._kept_until = ended + min(max(KEPT_SECONDS, REST * (ended - started)), longest)
        return known


def _ask(parts: Parts) -> Found:
    """Of these parts each needs those before it, so after one that does not answer none is waited for."""
    metrics: list[Metric] = []
    up = dict.fromkeys(parts, 0.0)
    for part, families in parts.items():
        try:
            found = list(families())
        except (DatabaseError, InterfaceError, RedisError, BusUnavailable, OSError) as error:
            # The kind of error only: its text may hold the address and the login.
            logger.warning("Metrics of the %s are missing (%s)", part, type(error).__name__)
            break
        metrics += found
        up[part] = 1.0
    return metrics, up
