"""The schema that a message was written with, which Confluent's wire format names by a number of the schema registry."""

import json
import struct
from functools import lru_cache
from typing import Any

from confluent_kafka.schema_registry.error import SchemaRegistryError
from django.conf import settings
from fastavro import parse_schema

from pipeline.bus.codec import UndecodableError
from pipeline.bus.kafka.connection import registry
from pipeline.bus.unavailable import BusUnavailable

_HEAD = struct.Struct(">bI")
_MAGIC = 0
_LARGEST = 2**31 - 1
"""The registry's numbers are Java's; of a larger one it says what it says of a wrong path."""
_NO_SUCH_SCHEMA = (40403, 42201)
"""The registry's own words, unknown or no schema, which another attempt would not change.

A bare 404 is not among them: whatever stands before the registry says that while it is away.
"""


def unframed(value: bytes) -> tuple[bytes, Any]:
    """The Avro bytes of a message's value, and the schema that they were written with.

    Raises:
        UndecodableError: the value has another format, or its schema is unknown or no Avro.
        BusUnavailable: the registry does not answer, so nothing can be said of the message yet.
    """
    if len(value) < _HEAD.size or value[0] != _MAGIC:
        raise UndecodableError("The value does not begin as the schema registry's format does.")
    _, number = _HEAD.unpack_from(value)
    return value[_HEAD.size :], _schema(settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL, number)


@lru_cache(maxsize=1_000)
def _schema(_registry_url: str, number: int) -> Any:
    text = _told(number)
    try:
        return parse_schema(json.loads(text))
    except Exception as error:  # fastavro raises what its input makes it stumble over
        raise UndecodableError(f"The schema {number} of the registry can't be read as Avro.") from error


def _told(number: int) -> str:
    unknown = f"The schema registry has no schema {number}."
    if number > _LARGEST:
        raise UndecodableError(unknown)
    try:
        text = registry().get_schema(number).schema_str
    except Exception as error:  # its client documents no others; to wait loses nothing
        if isinstance(error, SchemaRegistryError) and error.error_code in _NO_SUCH_SCHEMA:
            raise UndecodableError(unknown) from error
        raise BusUnavailable(f"The schema registry did not answer ({type(error).__name__}).") from error
    if text is None:
        raise BusUnavailable("The schema registry's answer has no schema.")
    return text
