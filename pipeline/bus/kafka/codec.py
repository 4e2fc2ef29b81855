"""A message of Kafka as an entry of the bus, position and fields, and what it says."""

from collections.abc import Mapping
from operator import methodcaller
from typing import Any

from confluent_kafka import Message

from pipeline.bus import codec
from pipeline.bus.kafka.schemas import unframed

Entry = tuple[bytes, dict[bytes, bytes]]
"""A message: its position and its fields."""

CLOUD_EVENT = "ce_"
"""What Kafka's binding of CloudEvents puts before the name of a header."""

_told_headers = methodcaller("headers")
"""To be called once for a message.

Where the name of a header is no UTF-8, confluent-kafka gives out a list with a null pointer and sets an exception.  Python
notices in calls that are made from C; in one that it has optimized (measured with 3.11) it goes on, and dies of the pointer.
"""

KEY, TIMESTAMP = b"kafka_key", b"kafka_timestamp"


def entry(message: Message) -> Entry:
    """The position, partition and offset, such as ``3-1042``, and the fields, named as in a Redis stream.

    Of a header that comes twice the last one counts.  None is given out if the name of one is no text.
    """
    headers = _headers(message)
    fields = {name.removeprefix(CLOUD_EVENT).encode(): value for name, value in headers if value is not None}
    parts = {b"event_data": message.value(), KEY: message.key(), TIMESTAMP: str(message.timestamp()[1]).encode()}
    fields |= {name: value for name, value in parts.items() if value is not None}
    return f"{message.partition()}-{message.offset()}".encode(), fields


def _headers(message: Message) -> Any:
    try:
        return _told_headers(message) or []
    except SystemError:
        return []


def decode(
    entry_id: bytes, fields: Mapping[bytes, bytes], *, stream: str
) -> codec.DecodedMessage | codec.UndecodableMessage:
    """Read one entry.  Never raises for bad input.

    Raises:
        BusUnavailable: the schema registry does not answer.
    """
    # A topic that is made anew has the same positions again.
    written = fields.get(TIMESTAMP, b"").decode()
    return codec.decode(entry_id, fields, stream=stream, namespace=f"kafka-topic-{written}", unframe=unframed)
