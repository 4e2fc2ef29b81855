"""The same work in many threads at the same moment, each with a database connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection

AT_ONCE = 8


def race(work: Callable[[], Any]) -> list[Any]:
    """What `AT_ONCE` threads, started together, got from the work.  Needs a test with `transaction=True`."""
    together = Barrier(AT_ONCE)

    def run(_: int) -> Any:
        try:
            together.wait()
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(run, range(AT_ONCE)))
