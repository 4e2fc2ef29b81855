"""`/metrics`: what it tells, whom it tells, what it costs, and that it tells nothing about anybody."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event as Happening
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from pipeline import measures, stages
from pipeline.bus.codec import UndecodableMessage
from pipeline.bus.streams import StreamReader
from pipeline.checks import check_metrics_token
from pipeline.credly.client import CredlyClient
from pipeline.embedded.redis import free_port
from pipeline.embedded.system import PROJECT
from pipeline.ledgers import inbox
from pipeline.ledgers.claims import MOST_TAKEN_UP
from pipeline.metrics.exposition import Exposition
from pipeline.metrics.gauges import gauge
from pipeline.models import Badge, Event, EventStatus, Gap, Signal, Webhook
from pipeline.stages.consume import InboxConsumer
from tests.bus.examples import fields
from tests.ledgers.builders import (
    MATH,
    TOPIC,
    badge,
    course_template,
    held_badge,
    lms_learner,
    message,
    organization,
    passes,
    received,
    template,
)
from tests.web.scraping import Scraped, scrape

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shared_redis")]

PATH = "/metrics"

Scrape = Callable[[], Scraped]


@pytest.fixture(autouse=True)
def open_to_all(settings: Any) -> None:
    settings.METRICS_OPEN = True


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch) -> Scrape:
    return lambda: scrape(monkeypatch)


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def test_it_is_text_that_prometheus_reads_and_every_metric_says_what_it_means(monkeypatch):
    monkeypatch.setattr("pipeline.web.metrics.exposition", Exposition())
    answer = Client().get(PATH)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-store" in answer.headers["Cache-Control"]
    families = list(text_string_to_metric_families(answer.text))
    assert len(families) > 20
    assert all(family.name.startswith("badges_") and family.documentation.endswith(".") for family in families)


def test_events_that_wait_or_failed_are_told(scraped):
    failed, processed, late, _ = received(*(passes(lms_learner(), minute) for minute in range(4)))
    inbox.refuse(failed, "No reason.")
    inbox.finish(inbox.waiting([processed]), EventStatus.PROCESSED)
    Event.objects.filter(pk=late).update(due_at=ago(100))
    page = scraped()
    assert page.value("badges_events", state="received") == 2
    assert page.value("badges_events", state="failed") == 1
    assert (page.value("badges_waiting", stage="evaluate"), page.value("badges_due", stage="evaluate")) == (2, 1)
    assert 100 <= page.value("badges_oldest_due_seconds", stage="evaluate") < 150


def test_old_events_that_are_run_again_are_not_due_before_their_time(scraped):
    ids = received(*(passes(lms_learner(), minute) for minute in range(3)))
    inbox.finish(inbox.waiting(ids), EventStatus.IGNORED)
    Event.objects.update(received_at=ago(100 * 86_400))
    inbox.replay(ids)
    page = scraped()
    assert (page.value("badges_waiting", stage="evaluate"), page.value("badges_due", stage="evaluate")) == (3, 0)
    assert page.value("badges_oldest_due_seconds", stage="evaluate") == 0


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any, scraped: Scrape) -> Callable[[], Any]:
    """While `with committed():` lasts, what is done is committed, and counted."""

    @contextmanager
    def committed() -> Iterator[None]:
        with django_capture_on_commit_callbacks(execute=True):
            yield
        measures.share()

    return committed


ENDED = "badges_events_ended_total"


def test_events_are_counted_by_type_and_by_what_became_of_them_and_each_end_once(scraped, committed):
    course_template()
    who = lms_learner()
    with committed():
        meets, another, no_learner = passes(who, 1), passes(who, 2, MATH), passes(who, 3)
        bad = message(no_learner, payload={"is_passing": True, "course": {}})
        inbox.store([message(meets), message(another), bad], TOPIC)
        for _ in range(2):
            stages.persist(stages.evaluate([meets.id, another.id, no_learner.id]))
    counted = {outcome: scraped().values(ENDED, type=meets.type, outcome=outcome) for outcome in EventStatus.values}
    assert counted == {"processed": [1], "ignored": [1], "failed": [1], "received": []}


def test_events_that_are_given_up_count_as_failed(scraped, committed):
    raises, kills = received(passes(lms_learner(), 1), passes(lms_learner(), 2))
    with committed():
        for event in [raises, kills] * (MOST_TAKEN_UP + 1):
            inbox.take_up(event)
            Event.objects.filter(pk=kills).update(claimed_until=timezone.now())
            inbox.stumble(raises, RuntimeError("boom"))
    assert scraped().values(ENDED) == [2]
    assert scraped().values(ENDED, outcome="failed") == [2]


def test_events_that_end_when_they_are_stored_are_counted_and_repeats_are_not(scraped, committed):
    ours = message(passes(lms_learner(), 1), type="org.openedx.learning.badge.awarded.v1")
    unreadable = UndecodableMessage(id=uuid4(), type="", position="3-0", raw=b"bytes", reason="Unreadable.")
    for messages in ([ours, unreadable], [ours, unreadable, message(passes(lms_learner(), 2))], [ours]):
        with committed():
            inbox.store(messages, TOPIC)
    assert scraped().value(ENDED, outcome="ignored", type=ours.type) == 1
    assert scraped().value(ENDED, outcome="failed") == 1
    assert len(scraped().values(ENDED)) == 2


def test_what_is_rolled_back_is_not_counted(scraped, committed):
    [event] = received(passes(lms_learner(), 1))
    with committed(), suppress(ZeroDivisionError), transaction.atomic():
        inbox.refuse(event, "No reason.")
        raise ZeroDivisionError
    assert scraped().values(ENDED) == []


def test_types_that_nobody_knows_share_one_label_since_anybody_can_invent_them(scraped, committed):
    events = [message(passes(lms_learner(), 1), type=f"org.nobody.knows.{number}.v1") for number in range(3)]
    with committed():
        inbox.store(events, TOPIC)
        stages.evaluate([event.id for event in events])
    assert scraped().values(ENDED) == [3]
    assert scraped().value(ENDED, type="other", outcome="failed") == 3


def test_what_waits_is_told_by_stage_and_what_a_closed_gate_holds_back_is_not_due(scraped):
    closed = organization(gate_reason="failing", call_again_at=timezone.now() + timedelta(seconds=60))
    badge(due_at=ago(40))
    badge(due_at=ago(500), template=template(closed))
    badge(due_at=timezone.now() + timedelta(hours=1), attempts=11)
    badge(due_at=None)
    held_badge()
    Webhook.objects.create(organization=organization(), event=uuid4(), event_type="x", due_at=ago(20))
    page = scraped()
    assert page.value("badges_waiting", stage="issue") == 3
    assert page.value("badges_due", stage="issue") == 1
    assert 40 <= page.value("badges_oldest_due_seconds", stage="issue") < 90
    assert page.value("badges_due", stage="emit") == 1
    assert page.value("badges_due", stage="webhook") == 1
    assert page.value("badges_retried") == 1


def test_badges_and_signals_are_told_by_state(scraped):
    held_badge()
    badge(credly_state="failed", due_at=None)
    Signal.objects.update(state="failed")
    page = scraped()
    assert page.value("badges_badges", state="pending") == 1
    assert page.value("badges_badges", state="failed") == 1
    assert page.value("badges_badges", state="revoked") == 0
    assert page.value("badges_signals", state="failed") == 1


def test_the_gate_and_the_key_of_each_organization_are_told_by_its_uuid(scraped):
    expires = timezone.now() + timedelta(days=3)
    well = str(organization(key_expires_at=expires).uuid)
    ill = str(organization(gate_reason="key refused").uuid)
    page = scraped()
    assert page.values("badges_gate_closed", organization=well) == [0, 0, 0]
    assert page.value("badges_gate_closed", organization=ill, reason="key_refused") == 1
    assert page.value("badges_gate_closed", organization=ill, reason="failing") == 0
    assert page.value("badges_key_expires_timestamp_seconds") == pytest.approx(expires.timestamp())


def test_losses_on_the_bus_are_told_until_an_operator_settles_them(scraped):
    fields = {"topic": TOPIC, "group": "ours", "before": "9-0"}
    Gap.objects.create(**fields, after="1-0", messages=7)
    Gap.objects.create(**fields, after="2-0", messages=None)
    Gap.objects.create(**fields, after="3-0", messages=5, settled_at=timezone.now())
    page = scraped()
    assert (page.value("badges_gaps"), page.value("badges_gap_messages")) == (2, 7)


def test_what_waits_on_the_bus_is_told_by_topic(scraped, shared_redis):
    assert scraped().value("badges_bus_unread", topic=TOPIC) == 0
    seconds, _ = shared_redis.time()
    for number in range(3):
        shared_redis.xadd(TOPIC, {"n": number}, id=f"{(seconds - 50) * 1000}-{number}")
    page = scraped()
    assert page.value("badges_bus_unread", topic=TOPIC) == 3
    assert 50 <= page.value("badges_bus_oldest_unread_seconds", topic=TOPIC) < 100


def test_what_several_processes_measured_is_added_up(scraped, settings):
    measures.stage_ended("persist", "success", 0.02)
    measures.share()
    another = (
        "import django; django.setup()\n"
        "from pipeline import measures\n"
        "measures.stage_ended('persist', 'success', 3.0)\n"
        "measures.stage_ended('persist', 'failure', 0.1)\n"
        "measures.share()"
    )
    environment = {
        **os.environ,
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "pipeline.settings",
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
    }
    subprocess.run([sys.executable, "-c", another], cwd=PROJECT, env=environment, check=True)
    page = scraped()
    succeeded = {"stage": "persist", "outcome": "success"}
    assert page.value("badges_stage_seconds_count", **succeeded) == 2
    assert page.value("badges_stage_seconds_sum", **succeeded) == pytest.approx(3.02)
    buckets = [page.value("badges_stage_seconds_bucket", **succeeded, le=bound) for bound in ("0.01", "0.025", "5.0")]
    assert buckets == [0, 1, 2]
    assert page.value("badges_stage_seconds_count", stage="persist", outcome="failure") == 1
    assert page.value("badges_stage_last_run_timestamp_seconds", stage="persist") <= timezone.now().timestamp()


def test_calls_to_credly_are_told_by_what_was_called_and_how_it_ended(scraped, academy):
    client = CredlyClient(academy.api, academy.organization, academy.key)
    client.organization()
    client.badge(uuid4())
    CredlyClient(academy.api, academy.organization, "wrong").organization()
    measures.share()
    page = scraped()
    name = "badges_credly_call_seconds_count"
    assert page.value(name, call="GET organizations/{id}", outcome="confirmed") == 1
    assert page.value(name, call="GET organizations/{id}", outcome="unauthorized") == 1
    assert page.value(name, call="GET organizations/{id}/badges/{id}", outcome="rejected") == 1


def test_how_long_an_event_took_to_credly_and_to_its_signal_is_told_once_the_signal_is_out(scraped):
    row = held_badge(earned_at=ago(40))
    [signal] = row.signals.all()
    Signal.objects.update(created_at=ago(10))
    stages.emit([signal.pk])
    measures.share()
    page = scraped()
    assert page.value("badges_event_to_credly_seconds_sum") == pytest.approx(30, abs=20)
    assert page.value("badges_event_to_signal_seconds_sum") >= 40
    assert page.value("badges_event_to_credly_seconds_bucket", le="60.0") == 1
    assert page.value("badges_event_to_credly_seconds_bucket", le="10.0") == 0


def test_batches_that_a_consumer_cannot_store_are_told_as_failures_and_not_as_its_last_run(scraped):
    def refuse(*_: Any) -> None:
        raise OperationalError("the disk is full")

    reader = StreamReader(TOPIC, "group", "one")
    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        InboxConsumer(TOPIC, "group", "one")._take([(b"1-0", fields())], reader)
    measures.share()
    page = scraped()
    assert page.value("badges_stage_seconds_count", stage="consume", outcome="failure") == 1
    assert page.values("badges_stage_last_run_timestamp_seconds") == []


def test_what_is_measured_while_redis_is_away_is_told_once_it_is_back(scraped, settings):
    there = settings.CELERY_BROKER_URL
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    measures.BUS_MESSAGES.add(5)
    measures.share()
    settings.CELERY_BROKER_URL = there
    measures.share()
    assert scraped().value("badges_bus_messages_total") == 5


def test_a_page_is_kept_for_seconds_so_that_scraping_costs_nothing(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("pipeline.web.metrics.exposition", Exposition())
    first = Client().get(PATH).content
    badge()
    with django_assert_num_queries(0):
        assert Client().get(PATH).content == first


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as whoever keeps a page sees it."""
    now = [0.0]
    monkeypatch.setattr("pipeline.metrics.exposition.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("took", "answers", "kept"),
    [
        (0.01, True, 10.0),
        (0.5, True, 25.0),
        (7.0, True, 60.0),  # longer would hide for as long what changes
        (7.0, False, 10.0),  # a time-out says nothing of what an answer would cost
    ],
)
def test_what_takes_long_is_asked_for_all_the_more_seldom_but_within_a_minute(monkeypatch, clock, took, answers, kept):
    asked = []

    def part() -> list[Any]:
        asked.append(clock[0])
        clock[0] += took
        if not answers:
            raise TimeoutError
        return []

    monkeypatch.setattr("pipeline.metrics.exposition.STANDING", {"database": part})
    exposition = Exposition()
    exposition.page()
    ends = clock[0] + kept
    for clock[0] in (ends - 0.1, ends + 0.1):
        exposition.page()
    assert asked == [0.0, ends + 0.1]


def test_who_asks_while_the_page_is_made_gets_what_was_known_before(monkeypatch, clock):
    """One that hangs must not hold a thread of the web process for each scrape."""
    asked, answer = Happening(), Happening()

    def hangs() -> list[Any]:
        asked.set()
        answer.wait(30)
        return [gauge("badges_seen", "Seen.", 2)]

    monkeypatch.setattr(
        "pipeline.metrics.exposition.STANDING", {"database": lambda: [gauge("badges_seen", "Seen.", 1)]}
    )
    exposition = Exposition()
    exposition.page()
    clock[0] = 100.0
    monkeypatch.setattr("pipeline.metrics.exposition.STANDING", {"database": hangs})
    first = Thread(target=exposition.page)
    first.start()
    assert asked.wait(30)
    assert "badges_seen 1.0" in exposition.page().decode()
    assert first.is_alive()
    answer.set()
    first.join()
    assert "badges_seen 2.0" in exposition.page().decode()


def test_counters_never_go_back_whichever_web_process_is_asked():
    """Each keeps what stands for a time of its own, and none of them what flows."""
    one, another = Exposition(), Exposition()
    told = []
    for exposition in (one, another, one, another, one):
        measures.BUS_MESSAGES.add(1)
        measures.share()
        told += [line for line in exposition.page().decode().splitlines() if line.startswith("badges_bus_messages")]
    assert told == [f"badges_bus_messages_total {number}.0" for number in range(1, 6)]


@pytest.mark.parametrize(
    "field",
    [
        "no JSON",
        "7",
        "[]",
        '["badges_bus_messages_total"]',
        '["badges_bus_messages_total", 7]',
        json.dumps([measures.BUS_MESSAGES.name, "0.5"]),
        json.dumps([measures.STAGE_LAST_RUN.name, "evaluate", "sum"]),
        json.dumps([measures.STAGE_SECONDS.name, "evaluate", "success", ""]),
        json.dumps([measures.STAGE_SECONDS.name, "evaluate", "success", "7.5"]),
        json.dumps([measures.STAGE_SECONDS.name, "evaluate", "0.5"]),
        json.dumps(["badges_of_another_version", "x", ""]),
    ],
)
def test_a_field_that_we_did_not_write_or_that_another_version_did_is_left_out(scraped, shared_redis, field):
    measures.BUS_MESSAGES.add(3)
    measures.share()
    shared_redis.hset(measures.KEY, field, 5)
    shared_redis.hset(measures.KEY, json.dumps([measures.BUS_MESSAGES.name, "y", ""]), "no number")
    page = scraped()
    assert page.value("badges_bus_messages_total") == 3
    flowing = {measure.name for measure in measures.MEASURES if measure is not measures.BUS_MESSAGES}
    assert [sample for family in page.families if family.name in flowing for sample in family.samples] == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", PATH])
def test_who_watches_the_process_may_call_it_by_the_address_of_its_pod(settings, path):
    settings.ALLOWED_HOSTS = ["badges.example.org"]
    pod = Client(headers={"host": "10.42.0.17:8000"})
    assert pod.get(path).status_code in (200, 503)
    assert pod.post(path).status_code == 405
    assert pod.get("/admin/login/").status_code == 400


def test_however_much_there_is_the_queries_are_as_many(scraped, django_assert_num_queries):
    received(*(passes(lms_learner(), 1) for _ in range(30)))
    for _ in range(5):
        badge(template=template(organization(gate_reason="failing")))
    with django_assert_num_queries(16):
        scraped()


def test_while_the_database_is_away_the_rest_is_told_and_that_it_is(scraped, caplog):
    def refuse(*_: Any) -> None:
        raise OperationalError("could not connect to server db.example as admin")

    with connection.execute_wrapper(refuse):
        page = scraped()
    assert (page.value("badges_up", part="database"), page.value("badges_up", part="measures")) == (0, 1)
    assert "badges_events" not in page.names
    assert "db.example" not in caplog.text


def test_while_redis_is_away_the_rest_is_told_and_that_it_is(scraped, settings):
    away = f"redis://127.0.0.1:{free_port()}/0"
    settings.CELERY_BROKER_URL = settings.EVENT_BUS_REDIS_CONNECTION_URL = away
    page = scraped()
    ups = {part: page.value("badges_up", part=part) for part in ("database", "bus", "measures")}
    assert ups == {"database": 1, "bus": 0, "measures": 0}
    assert "badges_events" in page.names


def test_it_tells_nothing_about_anybody_and_no_key(monkeypatch, academy):
    who = lms_learner("Dana Moe")
    received(passes(who, 1))
    row = held_badge(template=template(organization(api_key="secret-key-of-ours")))
    Badge.objects.update(error="Dana Moe dana@learners.example")
    stages.emit([row.signals.get().pk])
    CredlyClient(academy.api, academy.organization, academy.key).find_badges(uuid4(), recipient_email=who.email)
    measures.share()
    monkeypatch.setattr("pipeline.web.metrics.exposition", Exposition())
    page = Client().get(PATH).text
    assert "GET organizations/{id}/badges" in page
    for text in (who.email, who.username, "Dana", "learners.example", "secret-key", academy.key, str(row.uuid)):
        assert text not in page
    uuids = re.findall(r'(\w+)="[0-9a-f]{8}-[0-9a-f-]{27}"', page)
    assert set(uuids) == {"organization"}


@pytest.mark.parametrize("given", ["Bearer wrong", "the-token", "Basic the-token", "Bearer ünïcode", ""])
def test_with_a_token_only_who_shows_it_is_told_even_where_it_would_be_open(settings, given):
    settings.METRICS_TOKEN = "the-token"
    answer = Client().get(PATH, headers={"Authorization": given})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "the-token" not in answer.text
    assert Client().get(PATH, headers={"Authorization": "Bearer the-token"}).status_code == 200


def test_without_a_token_it_is_closed_to_this_machine_too_and_says_what_opens_it(settings):
    settings.METRICS_OPEN = False
    answer = Client().get(PATH, REMOTE_ADDR="127.0.0.1")
    assert answer.status_code == 403
    assert "set METRICS_TOKEN" in answer.text


def test_it_only_answers_to_reading():
    assert Client().post(PATH).status_code == 405


@pytest.mark.parametrize(("token", "warnings"), [("", []), ("x" * 15, ["badges.W007"]), ("x" * 16, [])])
def test_a_token_that_can_be_guessed_is_warned_of_before_a_deployment(settings, token, warnings):
    settings.METRICS_TOKEN = token
    assert [message.id for message in check_metrics_token(None)] == warnings
