"""The LMS's side of Kafka: the stock producer, and whether Kafka took what it sent."""

from typing import Self

from confluent_kafka import Producer
from edx_event_bus_kafka.internal.config import load_common_settings
from edx_event_bus_kafka.internal.producer import KafkaEventProducer
from openedx_events.event_bus import get_producer

from pipeline.bus.kafka import positions
from pipeline.bus.unavailable import BusUnavailable
from pipeline.lms.delivery import Failures

DELIVERY_SECONDS = 15.0
"""The stock producer tries for five minutes, which is long for a trial."""


def create_producer() -> KafkaEventProducer:
    """The stock producer as `edx_event_bus_kafka.create_producer` makes it, but less patient."""
    patience = {"message.timeout.ms": int(DELIVERY_SECONDS * 1000)}
    return KafkaEventProducer(Producer({**load_common_settings(), **patience}))


class KafkaDelivery:
    """Sees to it that Kafka takes what the stock producer sends: that delivers later, and tells its log alone.

    Use as a context manager, around all of it.
    """

    def __init__(self) -> None:
        self._failures = Failures()

    def ping(self) -> None:
        """Raises BusUnavailable when no broker answers."""
        positions.ping()

    def note(self, _topic: str) -> None:
        """An event was handed to the producer.  Raises BusUnavailable when one of those before it was refused."""
        self._raise_failures()

    def finish(self) -> None:
        """Wait until Kafka has everything.  Raises BusUnavailable when it took less."""
        left = get_producer().producer.flush(DELIVERY_SECONDS + 1)
        self._raise_failures()
        if left:
            raise BusUnavailable(f"Kafka did not confirm {left} events.")

    def trimmed_unread(self) -> list[str]:
        """None: Kafka removes by age and size, whatever is sent."""
        return []

    def _raise_failures(self) -> None:
        if self._failures.kind is not None:
            raise BusUnavailable(f"The event bus did not take an event ({self._failures.kind}).")

    def __enter__(self) -> Self:
        self._failures.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._failures.leave()
