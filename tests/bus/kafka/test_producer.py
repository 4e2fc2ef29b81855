"""Publishing signals on Kafka: in a form that others read, under their key, and sent only when Kafka says so."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import get_producer
from openedx_events.learning.signals import BADGE_AWARDED

from pipeline import stages
from pipeline.bus import waiting
from pipeline.bus.codec import event_data_for
from pipeline.bus.kafka import producer as module
from pipeline.bus.kafka.producer import KafkaProducer, create_producer
from pipeline.bus.unavailable import BusUnavailable, EventRefused
from pipeline.embedded.system import PROJECT
from pipeline.ledgers import outbox
from pipeline.models import Signal
from tests.bus.examples import AWARDED, BADGE, TIME
from tests.bus.kafka.cluster import REAL_REGISTRY, Kafka
from tests.bus.kafka.conftest import TOPIC
from tests.ledgers.builders import badge, course_template, make_due


def send(producer: KafkaProducer, **changes: Any) -> UUID:
    event_id = uuid4()
    producer.send(
        signal=BADGE_AWARDED,
        topic=TOPIC,
        event_key_field="badge.uuid",
        event_data=event_data_for(BADGE_AWARDED, BADGE | changes),
        event_metadata=EventsMetadata(event_type=AWARDED, id=event_id, time=TIME),
    )
    return event_id


def read_by_stock_consumer(kafka: Kafka, prefix: str, number: int) -> list[dict[str, Any]]:
    arguments = [kafka.bootstrap, kafka.registry_url, prefix, TOPIC, str(number)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bus.kafka.stock_consumer", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_stock_consumer_reads_what_is_sent_with_its_key_and_id(kafka: Kafka, settings: Any):
    sent = send(create_producer())
    [read] = read_by_stock_consumer(kafka, settings.EVENT_BUS_TOPIC_PREFIX, 1)
    assert read["badge"] == BADGE
    assert read["metadata"]["id"] == str(sent)
    assert read["key"].endswith(BADGE["uuid"])


def test_events_of_one_key_are_on_one_partition(kafka: Kafka, topic: str):
    producer = create_producer()
    for _ in range(5):
        send(producer)
    ends = [kafka.bounds(topic, partition)[1] for partition in range(4)]
    assert sorted(ends) == [0, 0, 0, 5]


@pytest.mark.parametrize(("away", "back"), [("hang", "go_on"), ("refuse", "accept")])
def test_an_event_counts_as_sent_only_when_the_brokers_confirmed_it(
    own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch, away: str, back: str
):
    producer = create_producer()
    send(producer)
    getattr(own_kafka.broker, away)()
    with monkeypatch.context() as impatient:
        impatient.setattr(module, "DELIVERY_SECONDS", 0.1)
        with pytest.raises(BusUnavailable, match="did not take an event"):
            send(producer)
    getattr(own_kafka.broker, back)()
    send(producer)
    assert waiting.unread(TOPIC, "lms") >= 2


class Hasty:
    """A client that waits for nothing: whatever it was given counts as sent."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def produce(self, topic: str, *, on_delivery: Any, **message: Any) -> None:
        self._client.produce(topic, **message)
        on_delivery(None, None)

    def flush(self, _seconds: float) -> None:
        pass


def test_control_an_event_that_is_not_waited_for_counts_as_sent_and_is_lost_with_its_process(
    own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
):
    producer = create_producer()
    send(producer)
    assert own_kafka.broker
    own_kafka.broker.refuse()
    with monkeypatch.context() as hasty:
        hasty.setattr(producer, "_connected", lambda connected=producer._connected: Hasty(connected()))
        send(producer)
    producer._client = None  # what it still holds ends with it, as with its process
    own_kafka.broker.accept()
    send(producer)
    assert waiting.unread(TOPIC, "lms") == 2


def test_a_schema_registry_that_is_away_is_the_bus_being_away(kafka: Kafka, settings: Any):
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = "http://127.0.0.1:9"
    with pytest.raises(BusUnavailable, match="schema registry"):
        send(create_producer())


@pytest.mark.skipif(bool(REAL_REGISTRY), reason="a real registry refuses only what contradicts what it has")
def test_a_schema_that_the_registry_refuses_is_told_with_its_answer(kafka: Kafka, settings: Any):
    settings.EVENT_BUS_TOPIC_PREFIX = "refused"
    with pytest.raises(EventRefused, match=r"schema registry .*409"):
        send(create_producer())


LONG = "x" * 2_000_000
"""More than the brokers take in one message."""


def test_an_event_that_is_too_long_is_told_by_kafkas_name_for_it(kafka: Kafka):
    with pytest.raises(EventRefused, match="MSG_SIZE_TOO_LARGE"):
        send(create_producer(), template=BADGE["template"] | {"description": LONG})


@pytest.fixture
def published_on_kafka(kafka: Kafka, settings: Any) -> Iterator[None]:
    settings.EVENT_BUS_PRODUCER = "pipeline.bus.kafka.producer.create_producer"
    get_producer.cache_clear()
    yield
    get_producer.cache_clear()


@pytest.mark.django_db
@pytest.mark.usefixtures("published_on_kafka")
def test_a_signal_that_the_bus_refuses_waits_and_does_not_hold_back_those_beside_it():
    template = course_template()
    signals = [pk for _ in range(3) for pk in outbox.write(badge(template=template), outbox.AWARDED)]
    refused = Signal.objects.get(pk=signals[1])
    refused.payload["template"]["description"] = LONG
    refused.save()
    [following] = outbox.write(refused.badge, outbox.REVOKED)

    for attempt in (1, 2):
        make_due(refused)
        assert stages.emit([*signals, following]) == []
        sent = Signal.objects.filter(state="sent")
        assert {signal.pk for signal in sent} == {signals[0], signals[2]}
        refused.refresh_from_db()
        assert (refused.state, refused.attempts) == ("pending", attempt)
        assert "MSG_SIZE_TOO_LARGE" in refused.error


def test_a_process_that_was_forked_sends_with_a_client_of_its_own(kafka: Kafka):
    producer = create_producer()
    send(producer)
    child = os.fork()
    if not child:
        signal.alarm(60)  # it hangs where the parent's client is freed in it: then it ends, and not well
        try:
            for _ in range(3):
                send(producer)
        except BaseException:  # noqa: BLE001 - a child of a test must never go on as the test
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert waiting.unread(TOPIC, "lms") == 4


def test_the_client_of_the_process_that_it_was_forked_from_is_never_freed(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
):
    producer = create_producer()
    send(producer)
    left = producer._client
    monkeypatch.setattr(producer, "_process", os.getppid())
    send(producer)
    assert module._left_behind[-1] is left is not producer._client
