"""From Kafka into the inbox, with a real consumer: what it stores, what it waits for, and what it tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from redis import Redis

from pipeline.bus import waiting
from pipeline.bus.codec import UndecodableError
from pipeline.bus.kafka import reader, schemas
from pipeline.bus.unavailable import BusUnavailable
from pipeline.ledgers import groups, inbox
from pipeline.models import ConsumerGroup, Event, EventStatus, Gap
from pipeline.reports import health
from pipeline.reports.backlog import our_groups
from pipeline.reports.status import pipeline_status
from pipeline.stages import consume
from pipeline.stages.consume_kafka import KafkaInboxConsumer
from tests.bus.examples import PASSING
from tests.bus.kafka import nameless_header
from tests.bus.kafka.cluster import REAL_REGISTRY, Kafka
from tests.bus.kafka.conftest import TOPIC
from tests.bus.kafka.publishing import publish
from tests.system.conditions import eventually

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = f"ours-{uuid4()}"

TIME_TO_STOP = 60.0
"""Much longer than it takes: a consumer that waits for a broker without end is not the less found out."""

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def consuming_at_once(shared_redis: Redis, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BADGES_ENABLED = True
    monkeypatch.setattr(consume, "LONGEST_WAIT", 0.5)


@contextmanager
def consumer(group: str = GROUP) -> Iterator[KafkaInboxConsumer]:
    """A consumer at work."""
    consumer = KafkaInboxConsumer(TOPIC, group)

    def run() -> None:
        try:
            consumer.consume_indefinitely()
        finally:
            connection.close()

    running = Thread(target=run)
    running.start()
    try:
        yield consumer
    finally:
        consumer.stop()
        running.join(TIME_TO_STOP)
    assert not running.is_alive()


def stored() -> set[Any]:
    return set(Event.objects.values_list("id", flat=True))


def consume_all(group: str = GROUP) -> None:
    """A consumer starts, reads until nothing is unread, and stops."""
    with consumer(group):
        eventually(lambda: waiting.unread(TOPIC, group) == 0)


def test_events_of_the_stock_producer_arrive_with_all_that_they_say(kafka: Kafka, topic: str):
    ids = set(publish(20, courses=10))
    assert waiting.unread(TOPIC, GROUP) == 20
    consume_all()

    assert stored() == ids
    event = Event.objects.first()
    assert event
    assert (event.type, event.topic, event.source, event.lms_user_id) == (PASSING, TOPIC, "openedx/lms/web", 7)
    assert (event.status, event.payload["user"]["pii"]["username"]) == (EventStatus.RECEIVED, "ada")
    assert sum(kafka.committed(topic, GROUP)) == 20
    assert our_groups() == {TOPIC: [GROUP]}


def test_events_that_come_again_fall_away(kafka: Kafka, topic: str):
    ids = set(publish(5))
    consume_all()
    kafka.commit(topic, GROUP, dict.fromkeys(range(4), 0))
    consume_all()
    assert stored() == ids
    assert not Gap.objects.exists()


FRAMED = b"\x00\x00\x00\x00\x01"


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        ({}, FRAMED, "The header 'id' is missing."),
        ({"ce_id": b"no id"}, FRAMED, "The header 'id' cannot be read."),
        (None, None, "The field 'event_data' is missing."),
        (None, b"no schema", "The value does not begin as the schema registry's format does."),
        (None, b"\x00\x00\x00\xff\xffdata", "The schema registry has no schema 65535."),
        (None, b"\x00\xff\xff\xff\xffdata", "The schema registry has no schema 4294967295."),
        pytest.param(
            None,
            FRAMED + b"\xff\xff\xff",
            "The field 'event_data' is not what the schema of this event type says.",
            marks=pytest.mark.skipif(
                bool(REAL_REGISTRY), reason="what a real registry has under this number, nobody knows"
            ),
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_set_aside_and_holds_nobody_back(
    kafka: Kafka, topic: str, headers: dict[str, bytes] | None, value: bytes | None, reason: str
):
    whole = {"ce_id": str(uuid4()).encode(), "ce_type": PASSING.encode(), "ce_time": b"2026-01-01T00:00:00+00:00"}
    for partition in range(4):
        kafka.produce(topic, (whole if headers is None else headers, value), partition=partition)
    [readable] = publish(1)
    consume_all()

    failed = Event.objects.filter(status=EventStatus.FAILED)
    assert {event.error for event in failed} == {reason}
    assert {event.position for event in failed} == {"0-0", "1-0", "2-0", "3-0"}
    assert Event.objects.get(pk=readable).status == EventStatus.RECEIVED
    assert sum(kafka.committed(topic, GROUP)) == 5


def test_a_message_with_a_header_whose_name_is_no_text_is_set_aside_and_costs_no_other(kafka: Kafka, topic: str):
    ids = set(publish(10, courses=10))
    nameless_header.produce(kafka.bootstrap, topic, b"poison", partition=3)
    consume_all()
    assert stored() > ids
    failed = Event.objects.get(status=EventStatus.FAILED)
    assert (failed.error, failed.position[:2]) == ("The header 'id' is missing.", "3-")
    assert sum(kafka.committed(topic, GROUP)) == 11


def test_a_message_that_cannot_be_read_is_set_aside_once_however_often_it_is_read(kafka: Kafka, topic: str):
    kafka.produce(topic, ({}, b"poison"))
    consume_all()
    kafka.commit(topic, GROUP, {0: 0})
    consume_all()
    assert Event.objects.get().status == EventStatus.FAILED


def test_while_the_database_is_away_nothing_is_committed_and_then_it_goes_on(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
):
    store, failures = inbox.store, iter(range(3))

    def away(*arguments: Any) -> Any:
        if next(failures, None) is not None:
            assert sum(kafka.committed(topic, GROUP)) == 0
            raise DatabaseError("simulated")
        return store(*arguments)

    monkeypatch.setattr(inbox, "store", away)
    ids = set(publish(5))
    consume_all()
    assert next(failures, None) is None
    assert stored() == ids


def test_control_a_consumer_that_does_not_go_back_loses_what_was_read_while_the_database_was_away(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reader.TopicReader, "_start_over", lambda _: None)
    store, failures = inbox.store, []

    def away(*arguments: Any) -> Any:
        if not failures:
            failures.append("simulated")
            raise DatabaseError(failures[0])
        return store(*arguments)

    monkeypatch.setattr(inbox, "store", away)
    publish(5)
    with consumer():
        eventually(lambda: failures)
        publish(1)
        eventually(lambda: waiting.unread(TOPIC, GROUP) == 0)
    assert sum(kafka.committed(topic, GROUP)) == 6
    assert len(stored()) < 6


def health_tells(what: str) -> None:
    status = pipeline_status()
    assert (status["bus"]["unread"], status["idle"]) == (None, False)
    with pytest.raises(health.Unhealthy, match=what):
        health.prove("consumer", 120)


@pytest.mark.parametrize(("away", "back"), [("hang", "go_on"), ("refuse", "accept")])
def test_while_the_brokers_are_away_it_waits_and_then_goes_on(own_kafka: Kafka, away: str, back: str):
    assert own_kafka.broker
    ids = set(publish(5))
    with consumer():
        eventually(lambda: stored() == ids)
        getattr(own_kafka.broker, away)()
        health_tells("Kafka does not answer")
        getattr(own_kafka.broker, back)()
        ids |= set(publish(5))
        eventually(lambda: stored() == ids)
    assert not Gap.objects.exists()


def test_brokers_that_are_away_when_it_starts_are_waited_for(own_kafka: Kafka, caplog: pytest.LogCaptureFixture):
    assert own_kafka.broker
    ids = set(publish(5))
    own_kafka.broker.refuse()
    with consumer():
        health_tells("Kafka does not answer")
        own_kafka.broker.accept()
        eventually(lambda: stored() == ids)


def test_brokers_that_go_while_a_batch_is_stored_cost_a_repetition_at_the_most(
    own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """What the inbox has and Kafka was not told of is read again."""
    store, broker = inbox.store, own_kafka.broker
    assert broker
    calls: list[int] = []

    def gone(messages: Any, *arguments: Any) -> Any:
        new = store(messages, *arguments)
        calls.append(len(new))
        if len(calls) == 1:
            broker.refuse()
        return new

    monkeypatch.setattr(inbox, "store", gone)
    ids = set(publish(5))
    with consumer():
        eventually(lambda: "tries again" in caplog.text)
        broker.accept()
        eventually(lambda: waiting.unread(TOPIC, GROUP) == 0)
    assert stored() == ids
    assert sum(calls) == 5
    assert len(calls) > 1


@pytest.mark.parametrize("away", ["hangs", "refuses", "is not found", "is replaced"])
def test_while_the_schema_registry_is_away_messages_wait_and_none_is_set_aside(
    own_kafka: Kafka, settings: Any, caplog: pytest.LogCaptureFixture, away: str
):
    """Where it is redeployed, what stands before it says 404, or another server answers."""
    assert own_kafka.registry
    ids = set(publish(3))
    url = settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL
    if away == "hangs":
        own_kafka.registry.hang()
    else:
        elsewhere = {"refuses": NOBODY_LISTENS, "is not found": f"{url}/elsewhere", "is replaced": f"{url}/another"}
        settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = elsewhere[away]
    with consumer():
        eventually(lambda: "BusUnavailable" in caplog.text)
        assert stored() == set()
        assert pipeline_status()["bus"]["unread"] == 3
        with pytest.raises(health.Unhealthy, match="Messages of learning-badges-lifecycle wait"):
            health.prove("consumer", 0)
        settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = url
        own_kafka.registry.go_on()
        eventually(lambda: stored() == ids)
    assert not Event.objects.filter(status=EventStatus.FAILED).exists()


def test_control_without_that_wait_the_messages_are_set_aside(
    own_kafka: Kafka, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schemas, "BusUnavailable", UndecodableError)
    publish(3)
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = NOBODY_LISTENS
    consume_all()
    assert Event.objects.filter(status=EventStatus.FAILED).count() == 3


def test_messages_that_kafka_removed_are_told_wherever_the_documents_say(
    kafka: Kafka, topic: str, caplog: pytest.LogCaptureFixture, admin_client: Client
):
    """In the log, in `pipeline_status`, on the status page, and in the admin."""
    publish(1)
    consume_all()
    [event] = Event.objects.all()
    partition = int(event.position.partition("-")[0])
    kafka.produce(topic, *[({}, b"read by nobody")] * 8, partition=partition)
    kafka.delete(topic, 7, partition)
    with consumer():
        eventually(lambda: Gap.objects.exists() and kafka.committed(topic, GROUP)[partition] == 9)

    gap = Gap.objects.get()
    assert (gap.after, gap.before, gap.messages) == (f"{partition}-0", f"{partition}-7", 6)
    assert gap.lost_from == event.time
    assert gap.lost_until
    assert f"6 messages of {topic} between {partition}-0 and {partition}-7" in caplog.text
    [told] = pipeline_status()["bus"]["gaps"]
    assert (told["group"], told["messages"]) == (GROUP, 6)
    lines = StringIO()
    call_command("pipeline_status", stdout=lines)
    assert f"Lost on the bus: 6 messages of {TOPIC}" in lines.getvalue()
    assert f"6 messages of {TOPIC}" in admin_client.get(reverse("status")).content.decode()
    page = admin_client.get(reverse("admin:pipeline_gap_change", args=[gap.pk])).content.decode()
    assert f"{partition}-7" in page
    assert "retention.ms" in page
    assert "EVENT_BUS_REDIS" not in page


def test_a_group_that_kafka_forgot_is_a_gap_and_reads_everything_again(kafka: Kafka, settings: Any):
    publish(3)
    consume_all()
    settings.EVENT_BUS_TOPIC_PREFIX = f"anew-{uuid4()}"
    kafka.create(f"{settings.EVENT_BUS_TOPIC_PREFIX}-{TOPIC}")
    ids = set(publish(2))
    consume_all()
    assert ids < stored()
    assert [(gap.messages, gap.before) for gap in Gap.objects.all()] == [(None, "")]


def test_control_of_a_group_that_kafka_forgot_nobody_hears_who_does_not_look(
    kafka: Kafka, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(groups, "is_known", lambda *_: False)
    publish(3)
    consume_all()
    settings.EVENT_BUS_TOPIC_PREFIX = f"anew-{uuid4()}"
    kafka.create(f"{settings.EVENT_BUS_TOPIC_PREFIX}-{TOPIC}")
    publish(2)
    consume_all()
    assert not Gap.objects.exists()


@pytest.fixture
def another_group(kafka: Kafka) -> str:
    """New, where the inbox has messages of the topic that it does not know of."""
    publish(3)
    consume_all()
    return f"another-{uuid4()}"


def test_a_group_that_several_consumers_begin_at_once_is_no_gap(kafka: Kafka, topic: str, another_group: str):
    with consumer(another_group), consumer(another_group):
        eventually(lambda: min(kafka.committed(topic, another_group)) >= 0)
    assert not Gap.objects.exists()


def test_a_group_whose_first_consumer_failed_before_it_began_is_no_gap(
    kafka: Kafka, another_group: str, monkeypatch: pytest.MonkeyPatch
):
    commit, failures = reader.TopicReader._commit, iter(["simulated"])

    def fails_once(*arguments: Any) -> bool:
        for failure in failures:
            raise BusUnavailable(failure)
        return commit(*arguments)

    monkeypatch.setattr(reader.TopicReader, "_commit", fails_once)
    consume_all(another_group)
    assert next(failures, None) is None
    assert not Gap.objects.exists()


def test_a_group_of_the_days_of_redis_is_new_to_kafka(kafka: Kafka, another_group: str, settings: Any):
    brokers = settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = ""
    groups.remember(TOPIC, another_group)
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = brokers
    assert our_groups() == {TOPIC: [GROUP]}
    consume_all(another_group)
    assert not Gap.objects.exists()
    assert sorted(our_groups()[TOPIC]) == sorted([GROUP, another_group])


def test_a_group_that_is_new_is_no_gap_although_others_have_read_the_topic(kafka: Kafka):
    publish(3)
    consume_all()
    ConsumerGroup.objects.all().delete()
    publish(1)
    consume_all()
    assert not Gap.objects.exists()


def test_the_backlog_says_how_many_wait_and_since_when(kafka: Kafka):
    assert waiting.backlog(TOPIC, "").entries == 0
    publish(4, courses=4)
    backlog = waiting.backlog(TOPIC, GROUP)
    assert backlog.entries == 4
    assert backlog.oldest
    assert health.prove("consumer", 120) == "what is on the bus is taken"


@pytest.mark.parametrize("time", ["yesterday", "2026-01-01T00:00:00", 7])
def test_a_wrong_offset_time_ends_the_consumer_with_a_line(kafka: Kafka, time: Any, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        KafkaInboxConsumer(TOPIC, GROUP, offset_time=time).consume_indefinitely()
    assert capsys.readouterr().err.startswith(f"--extra: offset_time: {time!r} is not allowed")


def test_an_argument_of_the_redis_consumer_ends_the_consumer_with_a_line(
    kafka: Kafka, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        KafkaInboxConsumer(TOPIC, GROUP, last_read_msg_id="0").consume_indefinitely()
    assert "unknown key(s) last_read_msg_id; allowed: consumer_name, offset_time" in capsys.readouterr().err
