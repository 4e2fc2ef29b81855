"""The wall clock was set: claims are held for as long again, and what waits is due, but never a look-up too soon."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from celery.signals import heartbeat_sent
from django.utils import timezone

from pipeline import clock, stages
from pipeline.configuration import gate
from pipeline.ledgers import claims, holdings, inbox, outbox, webhooks
from pipeline.models import Badge, BadgeHistory, Event, GateReason, Organization, Signal, Webhook
from pipeline.stages import clock_change
from tests.ledgers.builders import badge, claimed, lms_learner, organization, passes, received

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SLACK = timedelta(seconds=5)

SetClock = Callable[[timedelta], None]


@pytest.fixture(autouse=True)
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Makes the clock, as it goes now, one that was set by so much since the last housekeeping."""
    watch = clock.ClockWatch()
    watch.noted(clock.ahead())
    monkeypatch.setattr(clock_change, "_watch", watch)

    def set_by(moved: timedelta) -> None:
        watch.noted(clock.ahead() - moved.total_seconds())

    return set_by


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def about(time, expected) -> bool:
    return abs(time - expected) < SLACK


def test_what_waited_for_the_old_time_is_due_when_the_clock_was_set_back(set_clock):
    later = timezone.now() + HOUR
    waiting = badge(due_at=later, attempts=3)
    [signal] = outbox.write(badge(due_at=None), outbox.AWARDED)
    webhook = webhooks.receive(organization(), uuid4(), "badge.created")
    [event] = received(passes(lms_learner(), 1))
    for model in (Signal, Webhook, Event):
        model.objects.update(due_at=later)
    assert stages.due() == stages.Due([], [], [], [])
    set_clock(-HOUR)
    assert stages.due() == stages.Due([event], [waiting.pk], [signal], [webhook])


def test_what_was_nudged_by_the_old_time_is_nudged_again(set_clock):
    row = badge(nudged_at=timezone.now() + HOUR)
    assert stages.due().badges == []
    set_clock(-HOUR)
    assert stages.due().badges == [row.pk]


@pytest.mark.parametrize("moved", [-HOUR, HOUR])
def test_a_claim_is_held_for_as_long_as_a_new_one_since_its_call_may_be_out(set_clock, moved):
    row = badge()
    claimed(row)
    Badge.objects.update(claimed_until=timezone.now() - moved + claims.CLAIM_LASTS / 2)
    set_clock(moved)
    assert stages.due().badges == []
    assert about(fresh(row).claimed_until, timezone.now() + claims.CLAIM_LASTS)


@pytest.mark.parametrize("moved", [-HOUR, HOUR])
def test_a_call_without_answer_is_not_looked_up_before_it_has_surely_had_its_effect(set_clock, moved):
    row = badge(credly_state="issuing", due_at=timezone.now() - moved + SLACK)
    set_clock(moved)
    assert stages.due().badges == []
    assert about(fresh(row).due_at, timezone.now() + holdings.SURELY_EFFECTIVE)


def test_a_badge_whose_worker_died_is_due_when_its_claim_ends(set_clock):
    row = badge(
        due_at=timezone.now() + HOUR, credly_state="issuing", claim=uuid4(), claimed_until=timezone.now() + HOUR
    )
    set_clock(-HOUR)
    stages.due()
    assert fresh(row).due_at <= timezone.now() < fresh(row).claimed_until <= timezone.now() + claims.CLAIM_LASTS


@pytest.mark.parametrize("moved", [-HOUR, HOUR])
def test_an_event_that_is_taken_up_stays_so_for_as_long_as_one_taken_up_now(set_clock, moved):
    [event] = received(passes(lms_learner(), 1))
    Event.objects.update(claimed_until=timezone.now() - moved + SLACK)
    set_clock(moved)
    stages.due()
    assert about(Event.objects.get(pk=event).claimed_until, timezone.now() + inbox.EVALUATED_WITHIN)


def test_a_closed_gate_lets_a_probe_through_as_if_it_had_just_closed(set_clock):
    owner = organization(gate_reason=GateReason.FAILING, call_again_at=timezone.now() + HOUR)
    set_clock(-HOUR)
    stages.due()
    assert about(Organization.objects.get(pk=owner.pk).call_again_at, timezone.now() + gate.FIRST_PROBE_WAIT)


def test_it_is_noticed_once(set_clock, caplog):
    set_clock(-HOUR)
    stages.due()
    waiting = badge(due_at=timezone.now() + HOUR)
    stages.due()
    assert fresh(waiting).due_at == waiting.due_at
    assert [record.message for record in caplog.records] == [
        "The clock was set by -3600 s: claims and waits begin anew."
    ]


def test_a_worker_that_dies_on_the_way_leaves_it_to_the_next(set_clock, monkeypatch):
    row = badge(due_at=timezone.now() + HOUR)
    set_clock(-HOUR)
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(clock_change, "_start_over", lambda now, since: 1 / 0)
        stages.due()
    assert stages.due().badges == [row.pk]


def test_that_it_is_set_again_meanwhile_is_noticed_by_the_next(set_clock, monkeypatch):
    row = badge(due_at=timezone.now() + HOUR)
    set_clock(-2 * HOUR)
    now = timezone.now()
    with monkeypatch.context() as before_it_was_set:
        before_it_was_set.setattr(clock_change, "ahead", lambda: clock.ahead() + 3600)
        before_it_was_set.setattr(timezone, "now", lambda: now + HOUR)
        stages.due()
    Badge.objects.update(due_at=timezone.now() + HOUR, nudged_at=None)
    assert stages.due().badges == [row.pk]


@pytest.mark.parametrize("written", ["an event", "a badge's history"])
def test_after_a_start_what_was_written_in_the_future_tells_that_the_clock_was_set_back(monkeypatch, written):
    monkeypatch.setattr(clock_change, "_watch", clock.ClockWatch())
    row = badge(due_at=timezone.now() + HOUR)
    if written == "an event":
        received(passes(lms_learner(), 1))
        Event.objects.update(received_at=timezone.now() + HOUR)
    else:
        BadgeHistory.objects.create(badge=row, what="awarded")
        BadgeHistory.objects.update(at=timezone.now() + HOUR)
    assert stages.due().badges == [row.pk]


def test_after_a_start_all_keep_their_time_when_nothing_was_written_in_the_future(monkeypatch):
    monkeypatch.setattr(clock_change, "_watch", clock.ClockWatch())
    row = badge(due_at=timezone.now() + HOUR)
    received(passes(lms_learner(), 1))
    BadgeHistory.objects.create(badge=row, what="awarded")
    assert stages.due().badges == []
    assert fresh(row).due_at == row.due_at


def test_a_small_correction_of_the_clock_changes_nothing(set_clock):
    row = badge(due_at=timezone.now() + HOUR)
    set_clock(timedelta(seconds=-clock.LEAST_SECONDS + 1))
    assert stages.due().badges == []
    assert fresh(row).due_at == row.due_at


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_has_nothing_to_do_notices_with_its_heartbeat(set_clock):
    """Else it would notice at its first call, hours later, and throw away waits that are of the new time."""
    row = badge(due_at=timezone.now() + HOUR)
    set_clock(-HOUR)
    heartbeat_sent.send(sender=None)
    assert fresh(row).due_at <= timezone.now()
