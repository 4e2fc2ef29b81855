"""Publishing on Kafka, with an answer whether it took the event, in the stock producer's format."""

import os
from functools import lru_cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.schema_registry import topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from django.conf import settings
from edx_event_bus_kafka.internal.config import get_full_topic
from edx_event_bus_kafka.internal.producer import extract_event_key, extract_key_schema
from edx_event_bus_kafka.internal.utils import _get_headers_from_metadata
from httpx2 import HTTPError
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import EventBusProducer
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer
from openedx_events.tooling import OpenEdxPublicSignal

from pipeline.bus.kafka.connection import configuration, registry
from pipeline.bus.unavailable import BusUnavailable, EventRefused

DELIVERY_SECONDS = 8.0
"""How long the brokers may take to confirm: well below the limit of a task, which stops at the first failure."""

_left_behind: list[Producer] = []
"""Clients of the process that this one was forked from: freeing one here may wait for its threads without end (measured)."""


_SCHEMA_REFUSED = (409, 422)
"""Answers of the registry: it contradicts what the registry has, it is no schema."""


class KafkaProducer(EventBusProducer):
    """Writes events to Kafka topics and waits until all replicas in sync have each of them.

    The client of librdkafka is made at the first event, in the process that sends it: its threads don't survive a fork.
    """

    def __init__(self) -> None:
        self._client: Producer | None = None
        self._process = 0

    def send(
        self,
        *,
        signal: OpenEdxPublicSignal,
        topic: str,
        event_key_field: str,
        event_data: dict[str, Any],
        event_metadata: EventsMetadata,
    ) -> None:
        """Publish an event under the key that ``event_key_field`` leads to, and wait for the confirmation.

        May be repeated: consumers drop the repetition by the id in ``event_metadata``.

        Raises:
            EventRefused: the schema registry does not take its schema, or Kafka not so long an event.
            BusUnavailable: Kafka did not confirm the event, or the schema registry did not answer; Kafka may have it still.
        """
        stream = get_full_topic(topic)
        headers: dict[str, Any] = _get_headers_from_metadata(event_metadata)
        key_writer, value_writer = _serializers(settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL, signal, event_key_field)
        key = extract_event_key(event_data, event_key_field)
        try:
            key_bytes = key_writer(key, SerializationContext(stream, MessageField.KEY, headers))
            value_bytes = value_writer(event_data, SerializationContext(stream, MessageField.VALUE, headers))
        except SchemaRegistryError as error:
            status = error.http_status_code
            failure = EventRefused if status in _SCHEMA_REFUSED else BusUnavailable
            raise failure(f"The schema registry did not take the schemas for {stream} (status {status}).") from error
        except HTTPError as error:
            raise BusUnavailable(f"The schema registry did not answer ({type(error).__name__}).") from error
        self._deliver(stream, key_bytes, value_bytes, headers)

    def _deliver(self, stream: str, key: bytes | None, value: bytes | None, headers: dict[str, Any]) -> None:
        reports: list[KafkaError | None] = []

        def reported(error: KafkaError | None, _message: Message) -> None:
            reports.append(error)

        client = self._connected()
        try:
            client.produce(stream, key=key, value=value, headers=headers, on_delivery=reported)
            client.flush(DELIVERY_SECONDS + 1)
        except KafkaException as error:
            reports.append(error.args[0])
        except BufferError:
            pass  # nothing is reported
        # Never compared by ==: a KafkaError beside None leaves an exception behind that the next call raises.
        if reports and reports[0] is None:
            return
        # It may be beyond repair, and what it still holds is sent again by the caller: begin anew.
        self._client = None
        raise _failure(stream, reports[0] if reports else None)

    def _connected(self) -> Producer:
        if self._client is not None and self._process != os.getpid():
            _left_behind.append(self._client)
            self._client = None
        if self._client is None:
            self._process = os.getpid()
            self._client = Producer(
                configuration(acks="all", enable_idempotence=True, message_timeout_ms=int(DELIVERY_SECONDS * 1000))
            )
        return self._client


def _failure(stream: str, error: KafkaError | None) -> BusUnavailable:
    refused = error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    reason = "no answer" if error is None else error.name()
    return (EventRefused if refused else BusUnavailable)(f"Kafka did not take an event for {stream} ({reason}).")


def create_producer() -> KafkaProducer:
    """The producer that ``EVENT_BUS_PRODUCER`` names; no connection is made before its first event."""
    return KafkaProducer()


@lru_cache
def _serializers(
    _registry_url: str, signal: OpenEdxPublicSignal, key_field: str
) -> tuple[AvroSerializer, AvroSerializer]:
    """Of key and value, with schemas and subjects as the stock producer has them."""
    to_dict = AvroSignalSerializer(signal)

    def made(schema: str) -> AvroSerializer:
        serializer: AvroSerializer = AvroSerializer(
            schema_registry_client=registry(),
            schema_str=schema,
            to_dict=lambda data, _context: to_dict.to_dict(data),
            conf={"subject.name.strategy": topic_record_subject_name_strategy},
        )
        return serializer

    return made(extract_key_schema(to_dict, key_field)), made(to_dict.schema_string())
