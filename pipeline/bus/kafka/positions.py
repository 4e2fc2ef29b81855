"""Where the consumer groups of a topic stand: what each has still to read, asked without joining the group."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition
from edx_event_bus_kafka.internal.config import get_full_topic

from pipeline.bus.kafka.connection import ANSWER_SECONDS, configuration
from pipeline.bus.positions import Backlog
from pipeline.bus.unavailable import BusUnavailable

NOBODY = "badges-pipeline-observer"
"""The group of a client that asks on behalf of none."""

_LOOK_SECONDS = 3.0
_LITTLE = 1_024
"""Bytes of a fetch that wants one message of each partition."""


def ping() -> None:
    """Raises BusUnavailable when no broker answers."""
    with _observer(NOBODY) as client:
        client.list_topics(timeout=ANSWER_SECONDS)


def unread(topic: str, group: str) -> int:
    """How many messages wait for a group, as far as offsets tell; everything, if the group is new.

    Raises BusUnavailable.
    """
    with _observer(group) as client:
        return sum(number for _, number in _waiting(client, get_full_topic(topic)).values())


def backlog(topic: str, group: str) -> Backlog:
    """What waits for a group, as `unread` has it, and since when.  Raises BusUnavailable."""
    stream = get_full_topic(topic)
    with _observer(group) as client:
        waiting = _waiting(client, stream)
        times = _times(client, stream, {partition: first for partition, (first, number) in waiting.items() if number})
    return Backlog(sum(number for _, number in waiting.values()), min(times, default=None))


def time_of(stream: str, partition: int, offset: int) -> datetime | None:
    """When the message at an offset was added; None if there is none yet.  Raises BusUnavailable."""
    with _observer(NOBODY) as client:
        return next(iter(_times(client, stream, {partition: offset})), None)


def committed(client: Consumer, stream: str) -> dict[int, int | None]:
    """The next offset of the client's group by partition, None where the group has none; {} if there is no such topic.

    Raises confluent_kafka.KafkaException.
    """
    partitions = client.list_topics(stream, timeout=ANSWER_SECONDS).topics[stream].partitions
    if not partitions:
        return {}
    asked = [TopicPartition(stream, partition) for partition in partitions]
    found = client.committed(asked, timeout=ANSWER_SECONDS)
    for position in found:
        if position.error:
            raise KafkaException(position.error)
    return {position.partition: position.offset if position.offset >= 0 else None for position in found}


def bounds(client: Consumer, stream: str, partition: int) -> tuple[int, int]:
    """The offsets of the oldest message of a partition, and after its newest.  Raises confluent_kafka.KafkaException."""
    found = client.get_watermark_offsets(TopicPartition(stream, partition), timeout=ANSWER_SECONDS)
    if found is None:
        raise BusUnavailable(f"Kafka did not say which messages partition {partition} of {stream} has.")
    return found


@contextmanager
def _observer(group: str) -> Iterator[Consumer]:
    """A client that may ask for a group's offsets and is no member of it."""
    client = Consumer(configuration(group_id=group or NOBODY, enable_auto_commit=False, fetch_max_bytes=_LITTLE,
                                    message_max_bytes=_LITTLE, auto_offset_reset="earliest"))  # fmt: skip
    try:
        yield client
    except KafkaException as error:
        raise BusUnavailable(f"Kafka does not answer ({error.args[0].name()}).") from error
    finally:
        client.close()


def _waiting(client: Consumer, stream: str) -> dict[int, tuple[int, int]]:
    """By partition: the first offset that waits, and how many wait."""
    waiting = {}
    for partition, offset in committed(client, stream).items():
        oldest, end = bounds(client, stream, partition)
        first = oldest if offset is None or not oldest <= offset <= end else offset
        waiting[partition] = (first, end - first)
    return waiting


def _times(client: Consumer, stream: str, offsets: Mapping[int, int]) -> list[datetime]:
    """When the messages at these offsets, one of each partition, were added; of those that come within seconds."""
    if not offsets:
        return []
    client.assign([TopicPartition(stream, partition, offset) for partition, offset in offsets.items()])
    found: dict[int, datetime] = {}
    until = time.monotonic() + _LOOK_SECONDS
    while len(found) < len(offsets) and (rest := until - time.monotonic()) > 0:
        message = client.poll(rest)
        partition = message.partition() if message is not None and not message.error() else None
        if message is None or partition is None or partition in found:
            continue
        kind, milliseconds = message.timestamp()
        if kind != TIMESTAMP_NOT_AVAILABLE:
            found[partition] = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return list(found.values())
