"""Whether the bus got, and kept, what the stock producer sent: that producer says so to nobody but its log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edx_event_bus_redis.internal.config import get_full_topic
from redis import Redis

from pipeline.bus.positions import NEVER, entry_key, groups
from pipeline.bus.producer import BusUnavailable

_producer_log = logging.getLogger("edx_event_bus_redis.internal.producer")


class _Failures(logging.Filter):
    """Takes the producer's errors out of its log, where they would show the whole event with names and e-mails."""

    def __init__(self) -> None:
        super().__init__()
        self.kind: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        error = record.exc_info[1] if record.exc_info else None
        # The producer wraps what happened into an exception of its own.
        cause = error.args[0] if error is not None and error.args else error
        self.kind = type(cause).__name__
        return False


@contextmanager
def failures_raised() -> Iterator[None]:
    """Raise BusUnavailable at the end when the stock producer failed to publish inside."""
    failures = _Failures()
    _producer_log.addFilter(failures)
    try:
        yield
    finally:
        _producer_log.removeFilter(failures)
    if failures.kind is not None:
        raise BusUnavailable(f"The event bus did not take an event ({failures.kind}).")


def last_entry(client: Redis, topic: str) -> bytes:
    """The id of the topic's newest entry, "0-0" when there is none. Raises redis.exceptions.RedisError."""
    newest: Any = client.xrevrange(get_full_topic(topic), count=1)
    entry_id: bytes = newest[0][0] if newest else NEVER
    return entry_id


def trimmed_unread(client: Redis, topic: str, sent_from: bytes) -> list[str]:
    """The consumer groups from which the stock producer took entries by trimming the stream before they were read.

    ``sent_from`` is the first entry that was sent: only trimming beyond it counts. Without any consumer group the
    answer is `["(none yet)"]`, since whichever comes first will miss them. Raises redis.exceptions.RedisError.
    """
    oldest: Any = client.xrange(get_full_topic(topic), count=1)
    if oldest and entry_key(oldest[0][0]) <= entry_key(sent_from):
        return []
    kept_from = entry_key(oldest[0][0]) if oldest else entry_key(sent_from)
    present = groups(topic, client)
    if not present:
        return ["(none yet)"]
    return [group.name for group in present if entry_key(group.last_delivered) < kept_from]
