"""The page that Prometheus reads, from whichever web process it asks."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from django.db import DatabaseError, InterfaceError
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from redis.exceptions import RedisError

from pipeline.bus.unavailable import BusUnavailable
from pipeline.metrics import bus, ledgers, measured
from pipeline.metrics.gauges import gauge_by

logger = logging.getLogger(__name__)

KEPT_SECONDS = 10.0
"""How long the page is kept, so that scraping more often costs nothing."""

REST = 50
"""And at least so many times as long as it took: whatever grows, scraping takes no more than two percent of a connection."""

PARTS: dict[str, Callable[[], Iterable[Metric]]] = {
    "database": ledgers.gauges,
    "bus": bus.gauges,
    "measures": measured.families,
}


class Exposition:
    """Makes the page and keeps it for a while.  Threads may share it: of several that ask, one makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._page = b""
        self._kept_until = 0.0

    def page(self) -> bytes:
        """All metrics as text.  Raises nothing: a part that does not answer is missing and `badges_up` says so."""
        with self._lock:
            started = time.monotonic()
            if started >= self._kept_until:
                self._page = generate_latest(self)
                took = time.monotonic() - started
                self._kept_until = started + max(KEPT_SECONDS, REST * took)
            return self._page

    def collect(self) -> Iterator[Metric]:
        """Every metric, as `prometheus_client` asks for them."""
        up: dict[str, float] = {}
        for part, families in PARTS.items():
            try:
                found = list(families())
            except (DatabaseError, InterfaceError, RedisError, BusUnavailable, OSError) as error:
                # The kind of error only: its text may hold the address and the login.
                logger.warning("Metrics of the %s are missing (%s)", part, type(error).__name__)
                up[part] = 0
                continue
            up[part] = 1
            yield from found
        yield gauge_by("part", "badges_up", "Whether the metrics of this part are here.", up)
