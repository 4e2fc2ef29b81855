"""`/metrics`: what it tells, whom it tells, what it costs, and that it tells nothing about anybody."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from pipeline import measures, stages
from pipeline.checks import check_metrics_token
from pipeline.credly.client import CredlyClient
from pipeline.embedded.redis import free_port
from pipeline.embedded.system import PROJECT
from pipeline.ledgers import inbox
from pipeline.metrics.exposition import Exposition
from pipeline.models import Badge, Event, Gap, Signal, Webhook
from tests.ledgers.builders import (
    TOPIC,
    badge,
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


def test_events_are_told_by_type_and_by_what_became_of_them(scraped):
    ids = received(*(passes(lms_learner(), minute) for minute in range(4)))
    Event.objects.filter(pk=ids[0]).update(status="failed")
    Event.objects.filter(pk=ids[1]).update(status="processed")
    Event.objects.filter(pk=ids[2]).update(received_at=ago(100))
    page = scraped()
    assert page.value("badges_events", state="received") == 2
    assert page.value("badges_events", state="failed") == 1
    passing = Event.objects.get(pk=ids[1]).type
    assert page.value("badges_events_recent", type=passing, state="processed") == 1
    assert page.value("badges_due", stage="evaluate") == 2
    assert 100 <= page.value("badges_oldest_due_seconds", stage="evaluate") < 150


def test_types_that_nobody_knows_share_one_label_since_anybody_can_invent_them(scraped):
    for number in range(3):
        inbox.store([message(passes(lms_learner(), 1), type=f"org.nobody.knows.{number}.v1")], TOPIC)
    page = scraped()
    assert page.values("badges_events_recent") == [3]
    assert page.value("badges_events_recent", type="other") == 3


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


def test_what_takes_long_is_asked_for_all_the_more_seldom(monkeypatch):
    exposition = Exposition()
    now = [0.0]

    def slow() -> list[Any]:
        now[0] += 2.0
        return []

    monkeypatch.setattr("pipeline.metrics.exposition.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pipeline.metrics.exposition.PARTS", {"slow": slow})
    exposition.page()
    now[0] = 99.0
    exposition.page()
    assert now[0] == 99.0
    now[0] = 100.0
    exposition.page()
    assert now[0] == 102.0


def test_however_much_there_is_the_queries_are_as_many(scraped, django_assert_num_queries):
    received(*(passes(lms_learner(), 1) for _ in range(30)))
    for _ in range(5):
        badge(template=template(organization(gate_reason="failing")))
    with django_assert_num_queries(15):
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
