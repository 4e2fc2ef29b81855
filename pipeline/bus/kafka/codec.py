"""A message of Kafka as an entry of the bus, position and fields, and what it says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from confluent_kafka import Message

from pipeline.bus import codec
from pipeline.bus.kafka.schemas import unframed

Entry = tuple[bytes, dict[bytes, bytes]]
"""A message: its position and its fields."""

CLOUD_EVENT = "ce_"
"""What Kafka's binding of CloudEvents puts before the name of a header."""

KEY, TIMESTAMP = b"kafka_key", b"kafka_timestamp"


def entry(message: Message) -> Entry:
    """The position, partition and offset, such as ``3-1042``, and the fields, named as in a Redis stream.

    Of a header that comes twice the last one counts.
    """
    headers: Any = message.headers() or []
    fields = {name.removeprefix(CLOUD_EVENT).encode(): value for name, value in headers if value is not None}
    parts = {b"event_data": message.value(), KEY: message.key(), TIMESTAMP: str(message.timestamp()[1]).encode()}
    fields |= {name: value for name, value in parts.items() if value is not None}
    return f"{message.partition()}-{message.offset()}".encode(), fields


def decode(
    entry_id: bytes, fields: Mapping[bytes, bytes], *, stream: str
) -> codec.DecodedMessage | codec.UndecodableMessage:
    """Read one entry.  Never raises for bad input.

    Raises:
        BusUnavailable: the schema registry does not answer.
    """
    message = codec.decode(entry_id, fields, stream=stream, unframe=unframed)
    if isinstance(message, codec.DecodedMessage):
        return message
    # A topic that is made anew has the same positions again.
    written = fields.get(TIMESTAMP, b"").decode()
    return replace(message, id=uuid5(NAMESPACE_URL, f"kafka-topic:{stream}/{message.position}/{written}"))
