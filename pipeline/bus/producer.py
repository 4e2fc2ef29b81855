"""Publishing on the event bus, with an answer whether it took the event, and without trimming what is unread."""

import logging
from typing import Any

from django.conf import settings
from edx_event_bus_redis.internal.config import get_full_topic
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import EventBusProducer, NoEventBusProducer, get_producer
from openedx_events.tooling import OpenEdxPublicSignal
from redis import Redis
from redis.exceptions import RedisError

from pipeline.bus.codec import encode
from pipeline.bus.connection import connect
from pipeline.bus.topics import enabled_topics
from pipeline.bus.trimming import trim
from pipeline.bus.unavailable import BusUnavailable

logger = logging.getLogger(__name__)

SENDS_PER_TRIM = 100
"""Trimming looks at every consumer group: often enough to keep the limit, seldom enough to cost nothing."""


class RedisProducer(EventBusProducer):
    """Writes events to Redis streams, in the stock producer's bytes.

    The stream is shared with the LMS: entries are added without a limit of length, and now and then those are
    trimmed that exceed ``EVENT_BUS_REDIS_STREAM_MAX_LEN`` and that every consumer group has acknowledged.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._sends: dict[str, int] = {}

    def send(
        self,
        *,
        signal: OpenEdxPublicSignal,
        topic: str,
        event_key_field: str,
        event_data: dict[str, Any],
        event_metadata: EventsMetadata,
    ) -> None:
        """Add an event to the topic's stream, then trim the stream if it is time to.

        ``event_key_field`` is not used: a Redis stream has no partitions. May be repeated: consumers drop the
        repetition by the id in ``event_metadata``. Raises BusUnavailable when the bus did not confirm
        the event, and whatever the stock serializer raises when the data does not fit the signal.
        """
        stream = get_full_topic(topic)
        fields: dict[Any, Any] = {**encode(signal, event_data, event_metadata)}
        try:
            self._client.xadd(stream, fields)
        except RedisError as error:
            raise BusUnavailable(f"The event bus did not take an event for {stream}.") from error
        self._trim_sometimes(topic)

    def _trim_sometimes(self, topic: str) -> None:
        sends = self._sends.get(topic, 0)
        self._sends[topic] = (sends + 1) % SENDS_PER_TRIM
        if sends:
            return
        try:
            trim(self._client, topic, settings.EVENT_BUS_REDIS_STREAM_MAX_LEN)
        except RedisError as error:
            # The event is on the bus: a failure here must not make the caller send it again.
            logger.warning("Stream of topic %s was not trimmed: %s", topic, type(error).__name__)


def create_producer() -> RedisProducer:
    """The producer that ``EVENT_BUS_PRODUCER`` names."""
    return RedisProducer(connect())


def publish(signal: OpenEdxPublicSignal, event_data: dict[str, Any], metadata: EventsMetadata) -> list[str]:
    """Publish an event on every topic that ``EVENT_BUS_PRODUCER_CONFIG`` enables for its type.

    Returns those topics; [] when none is enabled. May be repeated with the same ``metadata``; after a failure at the
    second of two topics the first one gets the event again. Raises BusUnavailable when a topic did not take it.
    """
    producer = get_producer()
    if isinstance(producer, NoEventBusProducer):
        raise BusUnavailable("EVENT_BUS_PRODUCER names no producer that can be loaded.")
    topics = enabled_topics(signal.event_type)
    for topic, event_key_field in topics.items():
        producer.send(
            signal=signal,
            topic=topic,
            event_key_field=event_key_field,
            event_data=event_data,
            event_metadata=metadata,
        )
    return list(topics)
