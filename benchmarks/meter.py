"""What one piece of work costs in this process: queries, commits, round trips, and whose time it takes."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import redis.connection
import requests
from django.db import connection

from pipeline import nudges

WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass
class Meter:
    """Numbers, and seconds.  A second counts once: that of a round trip to Redis inside a publication is Redis's."""

    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("queries", "commits", "redis", "calls"), 0))
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("database", "redis", "credly", "publishing", "ours"), 0.0)
    )
    statements: list[str] = field(default_factory=list)
    _at: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count and time what happens meanwhile."""
        methods = [
            (redis.connection.AbstractConnection, "send_packed_command", "redis", True),
            (redis.connection.AbstractConnection, "read_response", "redis", False),
            (requests.Session, "send", "credly", True),
            (nudges, "_publish_batch", "publishing", False),
            (connection, "_commit", "database", False),
        ]
        with ExitStack() as stack:
            for owner, name, kind, counts in methods:
                stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name), kind, counts)))
            stack.enter_context(connection.execute_wrapper(self._query))
            with self._spent("ours"):
                yield

    @contextmanager
    def _spent(self, kind: str) -> Iterator[None]:
        """The time meanwhile is this kind's, and not that of what it happens in."""
        now = time.perf_counter()
        if self._at:
            outer, since = self._at[-1]
            self.seconds[outer] += now - since
        self._at.append((kind, now))
        try:
            yield
        finally:
            now = time.perf_counter()
            kind, since = self._at.pop()
            self.seconds[kind] += now - since
            if self._at:
                self._at[-1] = (self._at[-1][0], now)

    def _timed(self, function: Callable[..., Any], kind: str, counts: bool) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            if counts:
                self.numbers["calls" if kind == "credly" else kind] += 1
            if function.__name__ == "_commit":
                self.numbers["commits"] += 1
            with self._spent(kind):
                return function(*args, **kwargs)

        return timed

    def _query(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.statements.append(sql[:120])
        self.numbers["queries"] += 1
        if sql.startswith(WRITES) and not connection.in_atomic_block:
            self.numbers["commits"] += 1
        with self._spent("database"):
            return execute(sql, params, many, context)
