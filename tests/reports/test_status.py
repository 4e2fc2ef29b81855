"""pipeline_status: counts at every stage, and whether nothing is waiting anywhere."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from pipeline import models
from pipeline.bus.positions import gap_between
from pipeline.bus.streams import StreamReader
from pipeline.embedded.redis import RedisServer, free_port
from pipeline.ledgers import gaps, holdings, outbox, webhooks
from pipeline.models import Badge, ConsumerGroup, Event, Organization, Signal, Webhook
from pipeline.reports import status
from pipeline.reports.status import pipeline_status
from tests.backfill.turning import begun, take_turns
from tests.bus.examples import fields
from tests.ledgers.builders import (
    TOPIC,
    badge,
    claimed,
    course_template,
    held_badge,
    lms_learner,
    organization,
    passes,
    received,
)

pytestmark = pytest.mark.django_db

GROUP = "credentials_dev"


@pytest.fixture
def bus(redis_server: RedisServer, settings):
    """The topic's stream with our group on it, everything read."""
    settings.EVENT_BUS_REDIS_CONNECTION_URL = redis_server.url
    settings.EVENT_BUS_TOPIC_PREFIX = "status"
    reader = StreamReader(TOPIC, GROUP, "one")
    reader._client.flushdb()
    reader.ensure_group()
    ConsumerGroup.objects.create(topic=TOPIC, group=GROUP)
    yield reader
    reader.close()


def settle() -> None:
    """Everything is done."""
    Event.objects.update(status="processed", due_at=None)
    Badge.objects.update(due_at=None)
    Signal.objects.update(state="sent", due_at=None)
    Webhook.objects.update(state="handled", due_at=None)


def at_credly(status):
    """The counts, without the gates."""
    return {state: number for state, number in status["credly"].items() if state != "circuits"}


def test_of_an_empty_pipeline_every_number_is_zero_and_it_is_idle(bus):
    assert pipeline_status() == {
        "events": {"received": 0, "processed": 0, "ignored": 0, "failed": 0},
        "badges": {"awarded": 0, "revoked": 0},
        "credly": {"pending": 0, "issued": 0, "revoked": 0, "failed": 0, "circuits": []},
        "signals": {"pending": 0, "sent": 0, "disabled": 0, "failed": 0},
        "webhooks": {"waiting": 0},
        "bus": {"unread": 0, "gaps": []},
        "keys_refused": [],
        "keys_expiring": [],
        "discrepancies": 0,
        "oldest_waiting": None,
        "idle": True,
    }


def test_events_badges_and_signals_are_counted_by_state(bus):
    ids = received(*(passes(lms_learner(), minute) for minute in range(6)))
    for ended, some in (("processed", ids[:3]), ("ignored", ids[3:4]), ("failed", ids[4:5])):
        Event.objects.filter(pk__in=some).update(status=ended)
    for state in ("pending", "accepted", "rejected", "revoked", "failed", "failed"):
        badge(credly_state=state, standing="revoked" if state == "revoked" else "awarded", due_at=None)
    badge(), badge(credly_state="issuing")
    for state in ("sent", "sent", "failed", "disabled", "pending"):
        [pk] = outbox.write(badge(due_at=None), outbox.AWARDED)
        Signal.objects.filter(pk=pk).update(state=state)
    shown = pipeline_status()
    assert shown["events"] == {"received": 1, "processed": 3, "ignored": 1, "failed": 1}
    assert shown["badges"] == {"awarded": 12, "revoked": 1}
    assert at_credly(shown) == {"pending": 2, "issued": 3, "revoked": 1, "failed": 2}
    assert shown["signals"] == {"pending": 1, "sent": 2, "disabled": 1, "failed": 1}


@pytest.mark.parametrize(
    "waiting",
    [
        lambda: received(passes(lms_learner(), 1)),
        lambda: badge(),
        lambda: badge(due_at=timezone.now() + timedelta(days=1)),
        lambda: outbox.write(badge(due_at=None), outbox.AWARDED),
        lambda: webhooks.receive(organization(), uuid4(), "badge.created"),
    ],
    ids=["event", "badge", "badge for tomorrow", "signal", "webhook"],
)
def test_with_anything_waiting_at_any_stage_it_is_not_idle(bus, waiting):
    assert pipeline_status()["idle"]
    waiting()
    assert not pipeline_status()["idle"]
    assert pipeline_status()["oldest_waiting"] is not None
    settle()
    assert pipeline_status()["idle"]


def test_while_a_backfill_runs_it_is_not_idle(bus):
    running = begun(course_template())
    assert not pipeline_status()["idle"]
    take_turns(running)
    assert pipeline_status()["idle"]


def test_a_badge_that_somebody_works_on_is_still_waiting(bus):
    claim = claimed(badge())
    assert not pipeline_status()["idle"]
    holdings.failed(claim, "refused")
    assert pipeline_status()["idle"]


def test_failed_work_is_done_for_now_but_what_will_be_retried_is_never_failed(bus):
    claim = claimed(badge())
    holdings.postponed(claim, holdings.CredlyState.NONE, "unavailable")
    assert at_credly(pipeline_status()) == {"pending": 1, "issued": 0, "revoked": 0, "failed": 0}


def test_with_messages_on_the_bus_it_is_not_idle_until_they_are_acknowledged(bus):
    bus._client.xadd(bus.stream, fields())
    bus._client.xadd(bus.stream, fields())
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (2, False)
    entries = bus.read()
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (2, False)
    bus.acknowledge([entry_id for entry_id, _ in entries])
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (0, True)


def test_a_group_that_nobody_reads_any_more_does_not_keep_it_from_being_idle(bus):
    abandoned = StreamReader(TOPIC, "abandoned", "one")
    abandoned.ensure_group()
    abandoned.close()
    ConsumerGroup.objects.create(topic=TOPIC, group="abandoned")
    bus._client.xadd(bus.stream, fields())
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (1, False)
    bus.acknowledge([entry_id for entry_id, _ in bus.read()])
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (0, True)


def test_before_any_consumer_started_whatever_is_on_the_bus_waits(bus):
    ConsumerGroup.objects.all().delete()
    assert pipeline_status()["idle"]
    bus._client.xadd(bus.stream, fields())
    bus._client.xgroup_destroy(bus.stream, GROUP)
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (1, False)


def test_while_the_bus_does_not_answer_it_is_not_idle(bus, settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert (pipeline_status()["bus"]["unread"], pipeline_status()["idle"]) == (None, False)


def test_a_message_that_is_stored_while_the_counts_are_read_is_seen(bus, monkeypatch):
    """It is neither among the events, which were counted before, nor on the bus, which is asked again after."""
    bus._client.xadd(bus.stream, fields())
    counts = status._counts

    def stored_right_after(model, *arguments):
        counted = counts(model, *arguments)
        if model is Event:
            received(passes(lms_learner(), 1))
            bus.acknowledge([entry_id for entry_id, _ in bus.read()])
        return counted

    monkeypatch.setattr(status, "_counts", stored_right_after)
    assert not pipeline_status()["idle"]


def test_what_is_due_longest_is_named_with_its_age_however_old_it_is_itself(bus):
    """A badge that is issued since a year and now revoked has not waited for a year, nor has one that is put off."""
    now = timezone.now()
    received(passes(lms_learner(), 1))
    assert (pipeline_status()["oldest_waiting"]["kind"], pipeline_status()["oldest_waiting"]["seconds"]) == ("event", 0)
    late, put_off = badge(due_at=now - timedelta(hours=1)), badge(due_at=now + timedelta(hours=1))
    Badge.objects.filter(pk=put_off.pk).update(created_at=now - timedelta(days=365))
    Event.objects.update(received_at=now - timedelta(days=100), due_at=now - timedelta(minutes=5))
    oldest = pipeline_status()["oldest_waiting"]
    assert oldest["kind"] == "badge"
    assert 3600 <= oldest["seconds"] < 3660
    Badge.objects.filter(pk=late.pk).update(due_at=None)
    oldest = pipeline_status()["oldest_waiting"]
    assert oldest["kind"] == "event"
    assert 300 <= oldest["seconds"] < 360


def test_an_organization_whose_key_is_refused_is_named(bus):
    organization()
    refused = organization(gate_reason="key refused", gate_closed_at=timezone.now())
    assert [row["organization"] for row in pipeline_status()["keys_refused"]] == [str(refused.uuid)]
    Organization.objects.update(gate_reason="", gate_closed_at=None)
    assert pipeline_status()["keys_refused"] == []


def test_a_key_that_expires_soon_is_named_with_its_days(bus, capsys):
    organization(key_expires_at=timezone.now() + timedelta(days=90))
    soon = organization(key_expires_at=timezone.now() + timedelta(days=5, hours=1))
    gone = organization(key_expires_at=timezone.now() - timedelta(days=1, hours=1))
    shown = [(row["organization"], row["days"]) for row in pipeline_status()["keys_expiring"]]
    assert shown == [(str(gone.uuid), -2), (str(soon.uuid), 5)]
    call_command("pipeline_status")
    printed = capsys.readouterr().out
    assert f"Organization {gone.uuid}: its API key expired on" in printed
    assert f"Organization {soon.uuid}: its API key expires on {soon.key_expires_at:%Y-%m-%d}" in printed


def test_the_command_prints_one_json_object_and_nothing_else(bus, capsys):
    held_badge()
    call_command("pipeline_status", "--json")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(json.dumps(pipeline_status()))
    assert printed.err == ""


def test_the_command_tells_people_what_waits_and_which_key_is_refused(bus, settings, capsys):
    refused = organization(gate_reason="key refused", gate_closed_at=timezone.now())
    badge()
    call_command("pipeline_status")
    shown = capsys.readouterr().out
    assert f"Organization {refused.uuid} has no working API key since" in shown
    assert "Waiting longest: one badge" in shown
    assert "Idle" not in shown
    settle()
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    call_command("pipeline_status")
    assert "does not answer" in capsys.readouterr().out


def test_what_was_lost_on_the_bus_is_told_until_somebody_says_that_it_is_dealt_with(bus, capsys):
    found = gap_between(bus.stream, GROUP, b"1795000000000-0", b"1795000060000-3", 7)
    gaps.record(found, TOPIC)
    [told] = pipeline_status()["bus"]["gaps"]
    assert (told["topic"], told["group"], told["messages"]) == (TOPIC, GROUP, 7)
    assert (told["from"], told["until"]) == ("2026-11-18T11:06:40+00:00", "2026-11-18T11:07:40+00:00")
    call_command("pipeline_status")
    assert f"Lost on the bus: 7 messages of {TOPIC}" in capsys.readouterr().out
    gaps.settle(models.Gap.objects.get())
    assert pipeline_status()["bus"]["gaps"] == []


@pytest.mark.parametrize(
    ("minutes", "state"), [(1, "open"), (-1, "half-open")], ids=["nothing goes through", "the next call is a probe"]
)
@pytest.mark.parametrize(
    ("reason", "told"), [("failing", "Credly fails one call after the other"), ("throttled", "asked for fewer calls")]
)
def test_a_gate_that_is_closed_says_why_and_when_credly_is_called_next(bus, capsys, minutes, state, reason, told):
    well = organization()
    again = timezone.now() + timedelta(minutes=minutes)
    ill = organization(gate_reason=reason, failures=12, call_again_at=again)
    shown = {circuit["organization"]: circuit for circuit in pipeline_status()["credly"]["circuits"]}
    assert (shown[str(well.uuid)]["state"], shown[str(well.uuid)]["reason"]) == ("closed", "")
    assert shown[str(ill.uuid)] == {
        "organization": str(ill.uuid),
        "state": state,
        "reason": reason,
        "failures": 12,
        "since": "",
        "next_call": again.isoformat(timespec="seconds"),
    }
    call_command("pipeline_status")
    printed = capsys.readouterr().out
    assert (told in printed, f"circuit {state}" in printed, str(well.uuid) in printed) == (True, True, False)
