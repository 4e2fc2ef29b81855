"""Events on Kafka as the LMS writes them: with edx-event-bus-kafka's own producer."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import Producer
from edx_event_bus_kafka.internal.config import load_common_settings
from edx_event_bus_kafka.internal.producer import KafkaEventProducer
from openedx_events.data import EventsMetadata
from openedx_events.learning.signals import COURSE_PASSING_STATUS_UPDATED

from pipeline.bus.codec import event_data_for
from tests.bus.examples import PASSED, PASSING
from tests.bus.kafka.conftest import TOPIC

KEY = "course_passing_status.course.course_key"


def publish(number: int, *, courses: int = 1) -> list[UUID]:
    """Events of this many courses, which share out the partitions; their ids."""
    ids = [uuid4() for _ in range(number)]
    producer = KafkaEventProducer(Producer(load_common_settings()))
    for place, event_id in enumerate(ids):
        payload: dict[str, Any] = PASSED | {
            "course": PASSED["course"] | {"course_key": f"course-v1:A+B+{place % courses}"}
        }
        producer.send(
            signal=COURSE_PASSING_STATUS_UPDATED,
            topic=TOPIC,
            event_key_field=KEY,
            event_data=event_data_for(COURSE_PASSING_STATUS_UPDATED, payload),
            event_metadata=EventsMetadata(
                event_type=PASSING, id=event_id, time=datetime.now(UTC), source="openedx/lms/web"
            ),
        )
    producer.prepare_for_shutdown()
    return ids
