"""What waits on the event bus for a consumer group, whichever bus it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from pipeline.bus import positions
from pipeline.bus.connection import connect
from pipeline.bus.positions import Backlog
from pipeline.bus.unavailable import BusUnavailable


def is_kafka() -> bool:
    """Whether the event bus is Kafka; else it is Redis."""
    return bool(settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS)


def ping() -> None:
    """Raises BusUnavailable when the bus does not answer."""
    if is_kafka():
        from pipeline.bus.kafka import positions as kafka

        kafka.ping()
    else:
        with _redis() as client:
            client.ping()


def unread(topic: str, group: str) -> int:
    """How many messages wait for a group: not read yet, or not acknowledged.  Raises BusUnavailable."""
    if is_kafka():
        from pipeline.bus.kafka import positions as kafka

        return kafka.unread(topic, group)
    with _redis() as client:
        return positions.unread(topic, group, client)


def backlog(topic: str, group: str) -> Backlog:
    """What waits for a group, and since when, told cheaply however long it is.  Raises BusUnavailable."""
    if is_kafka():
        from pipeline.bus.kafka import positions as kafka

        return kafka.backlog(topic, group)
    with _redis() as client:
        return positions.backlog(topic, group, client)


@contextmanager
def _redis() -> Iterator[Redis]:
    with connect() as client:
        try:
            yield client
        except RedisError as error:
            raise BusUnavailable(f"Redis does not answer ({type(error).__name__}).") from error
