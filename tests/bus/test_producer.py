import json
import subprocess
import sys
from pathlib import Path

import edx_event_bus_redis
import pytest
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import get_producer
from openedx_events.learning.signals import BADGE_AWARDED

from pipeline.bus import producer
from pipeline.bus.codec import event_data_for
from pipeline.bus.producer import RedisProducer, create_producer, publish
from pipeline.bus.unavailable import BusUnavailable
from tests.bus.conftest import TOPIC
from tests.bus.examples import AWARDED, BADGE, ID, TIME

DATA = event_data_for(BADGE_AWARDED, BADGE)
METADATA = EventsMetadata(event_type=AWARDED, id=ID, time=TIME, source="openedx/credentials/web")


@pytest.fixture(autouse=True)
def _our_producer(bus, settings):
    settings.EVENT_BUS_PRODUCER = "pipeline.bus.producer.create_producer"
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(enabled=True)


def configuration(**topics_enabled):
    """``enabled`` for the badges topic, other names for topics of that name."""
    names = {TOPIC if name == "enabled" else name: enabled for name, enabled in topics_enabled.items()}
    return {AWARDED: {name: {"event_key_field": "badge.uuid", "enabled": on} for name, on in names.items()}}


def send(sender):
    sender.send(
        signal=BADGE_AWARDED,
        topic=TOPIC,
        event_key_field="badge.uuid",
        event_data=DATA,
        event_metadata=METADATA,
    )


def test_our_message_is_byte_for_byte_the_stock_producers(bus, stream):
    send(create_producer())
    send(edx_event_bus_redis.create_producer())
    (_, ours), (_, stock) = bus.xrange(stream)
    assert ours == stock


def test_a_stock_consumer_in_another_process_reads_what_we_publish(bus, stream, redis_url, settings):
    assert publish(BADGE_AWARDED, DATA, METADATA) == [TOPIC]
    script = Path(__file__).with_name("stock_consumer.py")
    ran = subprocess.run(
        [sys.executable, str(script), redis_url, settings.EVENT_BUS_TOPIC_PREFIX, TOPIC],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    received = json.loads(ran.stdout)
    assert received["badge"] == BADGE
    assert received["metadata"] == json.loads(METADATA.to_json())


@pytest.mark.parametrize("enabled", [True, lambda settings: settings.BADGES_ENABLED])
def test_an_enabled_topic_gets_the_event(bus, stream, settings, enabled):
    settings.BADGES_ENABLED = True
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(enabled=enabled)
    assert publish(BADGE_AWARDED, DATA, METADATA) == [TOPIC]
    assert bus.xlen(stream) == 1


@pytest.mark.parametrize("enabled", [False, lambda settings: settings.BADGES_ENABLED])
def test_a_disabled_topic_gets_nothing(bus, stream, settings, enabled):
    settings.BADGES_ENABLED = False
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(enabled=enabled)
    assert publish(BADGE_AWARDED, DATA, METADATA) == []
    assert bus.xlen(stream) == 0


def test_an_event_goes_to_every_enabled_topic(bus, settings):
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(enabled=True, audit=True, off=False)
    assert publish(BADGE_AWARDED, DATA, METADATA) == [TOPIC, "audit"]
    lengths = [bus.xlen(f"{settings.EVENT_BUS_TOPIC_PREFIX}-{topic}") for topic in (TOPIC, "audit", "off")]
    assert lengths == [1, 1, 0]


def test_an_event_without_configuration_is_not_published(bus, settings):
    settings.EVENT_BUS_PRODUCER_CONFIG = {}
    assert publish(BADGE_AWARDED, DATA, METADATA) == []


def test_a_bus_that_refuses_connections_is_unavailable(bus, settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://127.0.0.1:1/0"
    get_producer.cache_clear()
    with pytest.raises(BusUnavailable) as failure:
        publish(BADGE_AWARDED, DATA, METADATA)
    assert failure.value.__cause__ is not None
    assert "Ada" not in str(failure.value)


def test_a_bus_that_answers_with_an_error_is_unavailable(bus, stream):
    bus.set(stream, "not a stream")
    with pytest.raises(BusUnavailable):
        publish(BADGE_AWARDED, DATA, METADATA)


@pytest.mark.filterwarnings("ignore:Failed to load")
def test_a_producer_that_cannot_be_loaded_does_not_swallow_events(bus, settings):
    settings.EVENT_BUS_PRODUCER = "no.such.producer"
    with pytest.raises(BusUnavailable, match="EVENT_BUS_PRODUCER"):
        publish(BADGE_AWARDED, DATA, METADATA)


def test_publishing_trims_what_every_group_has_handled(bus, stream, settings, monkeypatch):
    monkeypatch.setattr(producer, "SENDS_PER_TRIM", 5)
    settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 3
    sender = RedisProducer(bus)
    for _ in range(4):
        send(sender)
    bus.xgroup_create(stream, "lms", "$")
    for _ in range(2):
        send(sender)
    assert [len(bus.xrange(stream)), unread_of(bus, stream)] == [3, 2]


def test_publishing_never_trims_what_a_group_has_not_read(bus, stream, settings, monkeypatch):
    monkeypatch.setattr(producer, "SENDS_PER_TRIM", 1)
    settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 2
    bus.xgroup_create(stream, "lms", "0", mkstream=True)
    sender = RedisProducer(bus)
    for _ in range(10):
        send(sender)
    assert unread_of(bus, stream) == 10


def test_a_failure_to_trim_is_no_failure_to_publish(bus, stream, settings, monkeypatch):
    monkeypatch.setattr(producer, "SENDS_PER_TRIM", 1)
    settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 1
    bus.acl_setuser("sender", enabled=True, nopass=True, reset=True, keys="*", commands=["+@all", "-xlen"])
    url = settings.EVENT_BUS_REDIS_CONNECTION_URL.replace("redis://", "redis://sender:any@")
    with producer.connect(url) as limited:
        send(RedisProducer(limited))
    assert bus.xlen(stream) == 1


def unread_of(bus, stream):
    [[_, entries]] = bus.xreadgroup("lms", "reader", {stream: ">"})
    return len(entries)
