"""`check_health`: a process that is alive and deaf is found, and nobody is blamed for another's silence."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer
from redis import Redis

from pipeline import measures
from pipeline.embedded.redis import free_port
from pipeline.ledgers import inbox
from pipeline.models import Event, Organization, Webhook
from tests.ledgers.builders import TOPIC, badge, held_badge, lms_learner, organization, passes, received, template
from tests.management.commands import Ran, run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)

Check = Callable[..., Ran]
Ended = Callable[..., None]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    return lambda *arguments: run(capsys, "check_health", *arguments)


@pytest.fixture
def ended(shared_redis: Redis) -> Ended:
    """Says how many seconds ago stages ended a run: `ended(beat=3)`."""

    def ended(**ago: float) -> None:
        for stage, seconds in ago.items():
            field = json.dumps([measures.STAGE_LAST_RUN.name, stage, ""])
            shared_redis.hset(measures.KEY, field, time.time() - seconds)

    return ended


@pytest.fixture
def all_is_well(ended: Ended) -> None:
    """Beat and housekeeping go on; no other stage has run for ten minutes."""
    ended(beat=3, housekeeping=2, consume=600, evaluate=600, persist=600, issue=600, emit=600, webhook=600)


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def event(seconds: float, **fields: Any) -> None:
    """One that came that long ago and is not evaluated."""
    [pk] = received(passes(lms_learner(), 1))
    Event.objects.filter(pk=pk).update(received_at=ago(seconds), **fields)


def add_to_bus(bus: Redis, seconds: float) -> None:
    now, _ = bus.time()
    bus.xadd(TOPIC, {"n": 1}, id=f"{int((now - seconds) * 1000)}-0")


def assert_deaf(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    for word in words:
        assert word in ran.err


def assert_healthy(ran: Ran, *words: str) -> None:
    assert (ran.status, ran.err, ran.out.count("\n")) == (0, "", 1), ran
    for word in words:
        assert word in ran.out


@pytest.mark.parametrize("process", ["consumer", "worker", "credly", "beat"])
def test_where_nothing_is_to_be_done_all_are_healthy(check, all_is_well, process):
    assert_healthy(check(process), process)


@pytest.mark.parametrize("process", ["consumer", "worker", "credly", "beat"])
def test_without_the_database_or_redis_nobody_is_called_healthy_and_the_line_says_why(
    check, all_is_well, settings, process
):
    def refuse(*_: Any) -> None:
        raise OperationalError("connection refused")

    if process != "beat":  # of which the database knows nothing
        with connection.execute_wrapper(refuse):
            ran = check(process)
        assert_deaf(ran, "The database refuses: connection refused. Check that it runs")
    settings.CELERY_BROKER_URL = settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert_deaf(check(process), process, "Redis does not answer")


def test_a_consumer_that_takes_nothing_of_what_waits_is_deaf(check, ended, shared_redis):
    ended(consume=600)
    add_to_bus(shared_redis, 300)
    assert_deaf(check("consumer"), f"Messages of {TOPIC} wait for 30", "no consumer took any for 60")
    assert_healthy(check("consumer", "--seconds", "1000"))


def test_a_consumer_that_works_off_a_backlog_is_healthy_and_so_is_one_whose_messages_are_new(
    check, ended, shared_redis
):
    ended(consume=600)
    add_to_bus(shared_redis, 30)
    assert_healthy(check("consumer"))
    shared_redis.delete(TOPIC)
    add_to_bus(shared_redis, 300)
    ended(consume=4)
    assert_healthy(check("consumer"))


def test_a_consumer_that_never_took_a_message_is_deaf_once_one_has_waited(check, shared_redis):
    add_to_bus(shared_redis, 300)
    assert_deaf(check("consumer"), "no consumer took any ever")


def test_workers_that_do_no_housekeeping_are_deaf_even_when_nothing_is_due(check, ended):
    ended(beat=3, housekeeping=200)
    assert_deaf(check("worker"), "Beat asks for housekeeping, and no worker ended any for 20")


def test_while_beat_is_silent_beat_alone_is_to_blame(check, ended):
    ended(beat=500, housekeeping=500, issue=500)
    event(400, due_at=ago(370))
    badge(due_at=ago(400))
    assert_deaf(check("beat"), "no housekeeping of beat for 50")
    assert_healthy(check("worker"), "beat is silent")
    assert_healthy(check("credly"), "silent")


@pytest.mark.parametrize(("age", "silent"), [(400, 600), (400, 240), (20_000, 4_000)])
def test_workers_that_evaluate_nothing_are_deaf(check, all_is_well, ended, age, silent):
    event(age, due_at=timezone.now() + timedelta(seconds=100))
    ended(evaluate=silent, persist=silent + 100)
    assert_deaf(check("worker"), "An event was sent to evaluation within", f"none was evaluated for {silent}")


def test_workers_that_evaluate_nothing_of_what_was_put_back_are_deaf_within_minutes_however_old_it_is(
    check, all_is_well, ended
):
    event(100 * 86_400, status="ignored", due_at=None)
    [pk] = Event.objects.values_list("pk", flat=True)
    inbox.replay([pk])
    assert_healthy(check("worker"))  # it was sent just now
    Event.objects.update(due_at=ago(0))
    inbox.due(10)
    assert_healthy(check("worker"))
    Event.objects.update(due_at=F("due_at") - timedelta(seconds=150))
    assert_deaf(check("worker"), "sent to evaluation within 150 s", "none was evaluated for 60")
    ended(evaluate=140)
    assert_healthy(check("worker"))


@pytest.mark.parametrize(
    ("age", "silent", "fields"),
    [
        (100, 600, {}),  # has not waited long
        (400, 150, {}),  # was nudged when it had waited for 200 s or more, and something ran since
        (20_000, 3_500, {}),  # is nudged once an hour
        (400, 600, {"attempts": 2}),  # raised, and is put off
        (400, 600, {"status": "failed"}),
    ],
)
def test_an_event_that_has_to_wait_is_no_workers_fault(check, all_is_well, ended, age, silent, fields):
    event(age, **fields)
    ended(evaluate=silent, persist=silent + 100)
    assert_healthy(check("worker"))


def test_workers_that_emit_nothing_of_what_is_due_are_deaf(check, all_is_well, ended):
    held_badge().signals.update(due_at=ago(300))
    assert_deaf(check("worker"), "1 rows are due for emit since more than 120 s; none ran for 60")
    ended(emit=100)
    assert_healthy(check("worker"))


def test_a_credly_process_that_issues_nothing_of_what_is_due_is_deaf(check, all_is_well, ended):
    badge(due_at=ago(300))
    assert_deaf(check("credly"), "1 rows are due for issue")
    ended(issue=20)
    assert_healthy(check("credly"))


def test_a_credly_process_that_handles_no_webhook_is_deaf(check, all_is_well):
    Webhook.objects.create(organization=organization(), event=uuid4(), event_type="x", due_at=ago(300))
    assert_deaf(check("credly"), "1 rows are due for webhook")


def test_what_is_put_off_or_held_back_by_a_gate_is_no_credly_processs_fault(check, all_is_well):
    badge(due_at=timezone.now() + timedelta(hours=1))
    badge(due_at=None)
    badge(due_at=ago(300), claimed_until=timezone.now() + timedelta(seconds=30))
    closed = organization(gate_reason="failing", call_again_at=timezone.now() + timedelta(seconds=30))
    badge(due_at=ago(300), template=template(closed))
    Webhook.objects.create(organization=closed, event=uuid4(), event_type="x", due_at=ago(300))
    assert_healthy(check("credly"))
    Organization.objects.update(call_again_at=ago(10))  # its time has come, but nobody was nudged yet
    assert_healthy(check("credly"))
    Organization.objects.update(call_again_at=ago(200))
    assert_deaf(check("credly"))


def test_web_is_asked_at_its_port_and_flower_at_its_own(check, live_server: LiveServer, monkeypatch):
    monkeypatch.setenv("PORT", str(live_server.thread.port))
    monkeypatch.setenv("FLOWER_PORT", str(free_port()))
    assert_healthy(check("web"), f"port {live_server.thread.port} answers")
    assert_deaf(check("flower"), "does not answer (ConnectionRefusedError)")


def test_web_that_knows_itself_by_another_name_answers_too(check, live_server: LiveServer, monkeypatch, settings):
    monkeypatch.setenv("PORT", str(live_server.thread.port))
    settings.ALLOWED_HOSTS = [".badges.example"]
    assert_healthy(check("web"))


def test_a_process_that_is_not_in_the_procfile_is_a_wrong_argument(check):
    ran = check("workers")
    assert ran.status == 2
    assert "'consumer', 'worker', 'credly', 'beat', 'web', 'flower'" in ran.err
