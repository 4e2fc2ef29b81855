"""The message codec: the fields of one stream entry, as the LMS writes them, to plain data and back.

A message has CloudEvents headers and ``event_data``, which is the signal's data in Avro without its schema. Reading
never raises for what the message holds: whatever cannot be understood becomes an `UndecodableMessage` with a reason.
"""

import json
import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes
from uuid import NAMESPACE_URL, UUID, uuid5

from edx_event_bus_redis.internal import utils as headers
from edx_event_bus_redis.internal.message import RedisMessage
from fastavro import parse_schema, schemaless_reader
from openedx_events.data import EventsMetadata
from openedx_events.event_bus.avro.deserializer import AvroSignalDeserializer
from openedx_events.event_bus.avro.schema import schema_from_signal
from openedx_events.event_bus.avro.serializer import serialize_event_data_to_bytes
from openedx_events.tooling import OpenEdxPublicSignal

from pipeline.bus.catalogue import find_signal

HEADER_LENGTH = 255
"""Longest accepted ``type`` or ``source`` header, in characters: what a text column with an index takes anywhere."""

_YEARS = range(1970, 9999)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True)
class DecodedMessage:
    """An event as it was published: its metadata (``time`` in UTC) and the value of its single data argument.

    ``payload`` holds only what JSON has; times, keys and UUIDs are texts, as they travel. A signal with no or several
    data arguments (none up to openedx-events 10.5.0) has them all in ``payload``, by name.
    ``position`` is the entry's id in its stream.
    """

    id: UUID
    type: str
    time: datetime
    source: str
    minorversion: int
    payload: dict[str, Any]
    position: str


@dataclass(frozen=True)
class UndecodableMessage:
    """An entry that is not an event. ``id`` follows from stream and position, so a second reading gives the same.

    ``raw`` holds all fields (see `decode_raw`), ``reason`` is a sentence for people without personal data, ``type``
    the event type it claims, "" when that is missing or is no type name.
    """

    id: UUID
    type: str
    position: str
    raw: bytes
    reason: str


class UndecodableError(Exception):
    """Why a message is not an event, in words for people."""


Unframe = Callable[[bytes], tuple[bytes, Any]]
"""From the field ``event_data`` to the event in Avro and the schema that it was written with, None if that is ours."""


def _unframed(data: bytes) -> tuple[bytes, Any]:
    """In a Redis stream the event stands alone, and its schema is not told."""
    return data, None


def decode(
    entry_id: bytes,
    fields: Mapping[bytes, bytes],
    *,
    stream: str,
    namespace: str = "redis-stream",
    unframe: Unframe = _unframed,
) -> DecodedMessage | UndecodableMessage:
    """Read one entry of a stream. Never raises for bad input; what else ``unframe`` raises is passed on.

    ``id``, ``time`` and ``type`` are required: inventing them, as the stock parser does, would make every delivery
    of a message another event. A time with an offset is converted to UTC, one without is refused. In ``namespace`` the
    stream has one entry of this id, for ever.
    """
    position = entry_id.decode("ascii", "replace")
    try:
        event_id = _header(fields, headers.HEADER_ID)
        event_type = _header_text(fields, headers.HEADER_EVENT_TYPE)
        message = DecodedMessage(
            id=event_id,
            type=event_type,
            time=_utc(_header(fields, headers.HEADER_TIME)),
            source=_header_text(fields, headers.HEADER_SOURCE, default=""),
            minorversion=_header(fields, headers.HEADER_MINORVERSION, default=0),
            payload=_payload(event_type, fields, unframe),
            position=position,
        )
        _refuse_unstorable(message)
        return message
    except UndecodableError as problem:
        return UndecodableMessage(
            id=uuid5(NAMESPACE_URL, f"{namespace}:{stream}/{position}"),
            type=_claimed_type(fields),
            position=position,
            raw=encode_raw(fields),
            reason=str(problem),
        )


def encode(signal: OpenEdxPublicSignal, event_data: dict[str, Any], metadata: EventsMetadata) -> dict[bytes, bytes]:
    """The fields of a stream entry for an event, byte for byte as the stock producer writes them.

    ``event_data`` maps the names of the signal's data arguments to attrs objects (see `event_data_for`).
    Raises whatever the stock serializer raises when they do not fit the signal.
    """
    message = RedisMessage(
        topic="", event_data=serialize_event_data_to_bytes(event_data, signal), event_metadata=metadata
    )
    fields: dict[bytes, bytes] = message.to_binary_dict()
    return fields


def event_data_for(signal: OpenEdxPublicSignal, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The signal's data for a payload of plain data (as in `DecodedMessage`): its one argument as attrs object.

    Raises KeyError, TypeError, ValueError or an opaque key's InvalidKeyError when the payload does not fit.
    """
    [payload_name] = signal.init_data
    event_data: dict[str, Any] = AvroSignalDeserializer(signal).from_dict({payload_name: payload})
    return event_data


def can_travel(name: str) -> bool:
    """Whether events of this type can be on the bus: some signals hold data for which there is no Avro schema."""
    try:
        _schema(name)
    except UndecodableError:
        return False
    return True


def encode_raw(fields: Mapping[bytes, bytes]) -> bytes:
    """All fields of an entry as JSON in ASCII: percent-encoded name to base64 value. `decode_raw` undoes it."""
    return json.dumps({quote_from_bytes(name): b64encode(value).decode() for name, value in fields.items()}).encode()


def decode_raw(raw: bytes) -> dict[bytes, bytes]:
    """The fields that `encode_raw` was given."""
    return {unquote_to_bytes(name): b64decode(value) for name, value in json.loads(raw).items()}


def _header(fields: Mapping[bytes, bytes], header: headers.MessageHeader, default: Any = None) -> Any:
    name = header.message_header_key
    value = fields.get(name.encode())
    if not value:
        if default is None:
            raise UndecodableError(f"The header '{name}' is missing.")
        return default
    try:
        return header.to_metadata(headers.decode(value))
    except ValueError as error:
        raise UndecodableError(f"The header '{name}' cannot be read.") from error


def _header_text(fields: Mapping[bytes, bytes], header: headers.MessageHeader, default: str | None = None) -> str:
    text: str = _header(fields, header, default)
    if len(text) > HEADER_LENGTH or "\0" in text:
        raise UndecodableError(f"The header '{header.message_header_key}' is too long or holds a NUL character.")
    return text


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise UndecodableError("The header 'time' has no time zone.")
    # Outside these years some databases refuse the value, and with it the whole batch it is stored in.
    if time.year not in _YEARS:
        raise UndecodableError(f"The header 'time' is outside the years {_YEARS.start} to {_YEARS.stop - 1}.")
    return time.astimezone(UTC)


def _payload(event_type: str, fields: Mapping[bytes, bytes], unframe: Unframe) -> dict[str, Any]:
    schema = _schema(event_type)
    data = fields.get(b"event_data")
    if data is None:
        raise UndecodableError("The field 'event_data' is missing.")
    written, writer = unframe(data)
    try:
        # Bytes after the event's end are left alone, as the stock consumer does: a newer LMS may have added a field.
        record: Any = schemaless_reader(BytesIO(written), writer or schema, schema if writer else None)
    # fastavro documents no exceptions: by the bytes it meets it raises EOFError, IndexError, ValueError and others.
    except Exception as error:
        raise UndecodableError("The field 'event_data' is not what the schema of this event type says.") from error
    return next(iter(record.values())) if len(record) == 1 else record


@cache
def _schema(event_type: str) -> Any:
    signal = find_signal(event_type)
    if signal is None:
        shown = event_type if _PLAIN_NAME.fullmatch(event_type) else "in the header 'type'"
        raise UndecodableError(f"The event type {shown} is unknown.")
    try:
        return parse_schema(schema_from_signal(signal))
    # openedx-events raises bare Exception for data without an Avro type.
    except Exception as error:
        raise UndecodableError(f"Events of type {event_type} cannot travel on the event bus.") from error


def _refuse_unstorable(message: DecodedMessage) -> None:
    """Databases take neither NUL characters nor numbers that JSON does not have."""
    try:
        if "\\u0000" not in json.dumps(message.payload, allow_nan=False):
            return
    except ValueError:
        pass
    signal = find_signal(message.type)
    names = list(signal.init_data) if signal else []
    for path, leaf in _leaves(message.payload, names[0] if len(names) == 1 else ""):
        if isinstance(leaf, str) and "\0" in leaf:
            raise UndecodableError(f"The value at {path} holds a NUL character, which the database cannot store.")
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise UndecodableError(f"The value at {path} is not a finite number, which JSON does not have.")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"a key of {path}", name
            # The keys of a map are the sender's: only plain names are shown.
            shown = name if _PLAIN_NAME.fullmatch(name) else "..."
            yield from _leaves(item, f"{path}.{shown}" if path else shown)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, f"{path}[]")
    else:
        yield path, value


def _claimed_type(fields: Mapping[bytes, bytes]) -> str:
    claimed = fields.get(b"type", b"").decode("ascii", "replace")
    return claimed if _PLAIN_NAME.fullmatch(claimed) else ""
