"""Whether the bus got, and kept, what the stock producer sent: that producer says so to nobody but its log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from edx_event_bus_redis.internal.config import get_full_topic

from pipeline.bus.connection import connect
from pipeline.bus.positions import NEVER, entry_key, groups
from pipeline.bus.unavailable import BusUnavailable
from pipeline.bus.waiting import is_kafka


class Delivery(Protocol):
    """Whether the bus got, and kept, what was sent inside of it."""

    def ping(self) -> None:
        """Raises when the bus does not answer."""

    def note(self, topic: str) -> None:
        """An event was handed over for this topic."""

    def finish(self) -> None:
        """Wait for what is on its way."""

    def trimmed_unread(self) -> list[str]:
        """The consumer groups for which something of it is lost."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


_PRODUCERS = ("edx_event_bus_redis.internal.producer", "edx_event_bus_kafka.internal.producer")


class Failures(logging.Filter):
    """Takes the stock producers' errors out of their logs, where they would show the whole event with names and e-mails."""

    def __init__(self) -> None:
        super().__init__()
        self.kind: str | None = None

    def listen(self) -> None:
        """From now on."""
        for name in _PRODUCERS:
            logging.getLogger(name).addFilter(self)

    def leave(self) -> None:
        """And no more."""
        for name in _PRODUCERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps what is no error, and the kind of one that is."""
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
    failures = Failures()
    failures.listen()
    try:
        yield
    finally:
        failures.leave()
    if failures.kind is not None:
        raise BusUnavailable(f"The event bus did not take an event ({failures.kind}).")


class RedisDelivery:
    """Sees whether the stream keeps what the stock producer sends until it is read.  Use as a context manager."""

    def __init__(self) -> None:
        self._client = connect()
        self._first_entries: dict[str, bytes] = {}

    def ping(self) -> None:
        """Raises redis.exceptions.RedisError when the server does not answer."""
        self._client.ping()

    def note(self, topic: str) -> None:
        """An event was sent to the topic.  Raises redis.exceptions.RedisError."""
        if topic not in self._first_entries:
            newest: Any = self._client.xrevrange(get_full_topic(topic), count=1)
            self._first_entries[topic] = newest[0][0] if newest else NEVER

    def finish(self) -> None:
        """Nothing is on its way: the producer waits for each answer."""

    def trimmed_unread(self) -> list[str]:
        """The consumer groups from which the stock producer took entries by trimming the stream before they were read.

        Only trimming beyond what was sent first counts. Without any consumer group the answer is `["(none yet)"]`, since
        whichever comes first will miss them. Raises redis.exceptions.RedisError.
        """
        return [
            group for topic, first in self._first_entries.items() for group in self._groups_that_missed(topic, first)
        ]

    def _groups_that_missed(self, topic: str, sent_from: bytes) -> list[str]:
        oldest: Any = self._client.xrange(get_full_topic(topic), count=1)
        if oldest and entry_key(oldest[0][0]) <= entry_key(sent_from):
            return []
        kept_from = entry_key(oldest[0][0]) if oldest else entry_key(sent_from)
        present = groups(topic, self._client)
        if not present:
            return ["(none yet)"]
        return [group.name for group in present if entry_key(group.last_delivered) < kept_from]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def delivery() -> Delivery:
    """That of the bus in use."""
    if not is_kafka():
        return RedisDelivery()
    from pipeline.lms.kafka import KafkaDelivery

    return KafkaDelivery()
