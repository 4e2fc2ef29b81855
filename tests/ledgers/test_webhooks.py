"""Webhooks: each event counted once for each organization, tried until it is verified, and given up after 25 days."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline.ledgers import claims, webhooks
from pipeline.models import Organization, Webhook, WebhookState
from tests.ledgers.builders import organization
from tests.ledgers.races import race

pytestmark = pytest.mark.django_db


def received(owner: Organization | None = None) -> Webhook:
    return Webhook.objects.get(pk=webhooks.receive(owner or organization(), uuid4(), "badge.created"))


def reread(row: Webhook) -> Webhook:
    return Webhook.objects.get(pk=row.pk)


def claimed(row: Webhook) -> webhooks.Claim:
    claim = webhooks.claim(webhooks.due(row.pk))
    assert claim is not None
    return claim


def days_old(row: Webhook, days: float) -> Webhook:
    Webhook.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(days=days))
    return reread(row)


def test_a_webhook_is_stored_once_and_due_at_once():
    owner, event = organization(), uuid4()
    first = webhooks.receive(owner, event, "badge.created")
    assert webhooks.receive(owner, event, "badge.deleted") is None
    [row] = Webhook.objects.all()
    assert (row.pk, row.event_type, row.state) == (first, "badge.created", "waiting")
    assert webhooks.due(first) == row


def test_the_same_event_told_for_another_organization_does_not_take_its_place():
    event = uuid4()
    assert webhooks.receive(organization(), event, "badge.created")
    assert webhooks.receive(organization(), event, "badge.created")


@pytest.mark.django_db(transaction=True)
def test_of_many_deliveries_at_once_one_is_stored_and_handled():
    owner, event = organization(), uuid4()
    stored = race(lambda: webhooks.receive(owner, event, "badge.created"))
    assert [pk for pk in stored if pk] == [Webhook.objects.get().pk]
    row = webhooks.due(Webhook.objects.get().pk)
    assert len([claim for claim in race(lambda: webhooks.claim(row)) if claim]) == 1


def test_more_than_the_most_are_not_stored_and_a_repeat_is_no_more(monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_WAITING", 2)
    owner = organization()
    first, _ = received(owner), received(owner)
    with pytest.raises(webhooks.TooManyWaiting):
        received(owner)
    assert Webhook.objects.count() == 2
    assert webhooks.receive(owner, first.event, "badge.created") is None
    assert received()
    webhooks.end(claimed(first), WebhookState.IGNORED, "not ours")
    assert received(owner)


def test_a_claimed_webhook_is_nobody_elses_until_the_claim_ends():
    row = received()
    claimed(row)
    assert webhooks.due(row.pk) is None
    Webhook.objects.update(claimed_until=timezone.now())
    assert webhooks.due(row.pk) == row


def test_the_result_and_the_type_of_a_worker_whose_claim_ran_out_do_not_count():
    row = received()
    late = claimed(row)
    Webhook.objects.update(claimed_until=timezone.now())
    claimed(row)
    webhooks.verified(late, "badge.deleted")
    webhooks.postpone(late, "late")
    webhooks.end(late, WebhookState.REFUSED, "late")
    now = reread(row)
    assert (now.event_type, now.state, now.outcome, now.error) == ("badge.created", "waiting", "", "")


def test_the_type_is_what_credly_says_as_far_as_the_table_holds_it():
    row = received()
    webhooks.verified(claimed(row), "x" * 500)
    assert reread(row).event_type == "x" * webhooks.LONGEST_TYPE


def test_a_webhook_that_ended_is_due_no_more():
    row = received()
    webhooks.end(claimed(row), WebhookState.HANDLED, "done")
    now = reread(row)
    assert (now.state, now.outcome, now.due_at, now.claim) == ("handled", "done", None, None)
    assert webhooks.due(row.pk) is None


def test_the_wait_grows_with_the_attempts():
    row = received()
    waits = []
    for _ in range(12):
        Webhook.objects.update(due_at=timezone.now())
        webhooks.postpone(claimed(row), "Credly is away")
        waits.append((reread(row).due_at - timezone.now()).total_seconds())
    assert waits[0] <= claims.FIRST_WAIT
    assert claims.LONGEST_WAIT / 2 - 1 <= waits[-1] <= claims.LONGEST_WAIT
    assert (reread(row).attempts, reread(row).error) == (12, "Credly is away")


@pytest.mark.parametrize(("days", "state"), [(24.9, "waiting"), (25, "ignored")])
def test_after_25_days_a_webhook_is_given_up_with_the_last_reason(days, state):
    row = days_old(received(), days)
    webhooks.postpone(claimed(row), "Credly is away")
    now = reread(row)
    assert now.state == state
    assert "Credly is away" in (now.outcome if state == "ignored" else now.error)
    assert (now.due_at is None) == (state == "ignored")


def test_one_that_is_held_back_for_25_days_is_given_up_too_and_no_attempt_is_counted():
    row, old = received(), days_old(received(), 25)
    for each in (row, old):
        webhooks.hold_back(each, timezone.now() + timedelta(minutes=1), "no key")
    assert (reread(row).state, reread(row).attempts, reread(row).error) == ("waiting", 0, "no key")
    assert (reread(old).state, reread(old).due_at) == ("ignored", None)


def test_all_that_wait_for_a_working_key_are_resumed_together():
    row, other = received(), received()
    for each in (row, other):
        webhooks.hold_back(each, timezone.now() + timedelta(minutes=1), "no key")
    webhooks.resume(row.organization)
    assert (webhooks.due(row.pk), webhooks.due(other.pk)) == (row, None)


@pytest.mark.parametrize("state", ["handled", "ignored", "refused"])
def test_one_that_ended_can_be_handled_again(state):
    row = received()
    webhooks.end(claimed(row), WebhookState(state), "so it was")
    assert webhooks.handle_again(row)
    assert (webhooks.due(row.pk), reread(row).outcome, reread(row).attempts) == (row, "", 0)


def test_an_old_one_that_is_handled_again_gets_another_25_days():
    row = days_old(received(), 40)
    assert webhooks.handle_again(row)
    webhooks.postpone(claimed(reread(row)), "Credly is away")
    assert reread(row).state == "waiting"


def test_one_that_is_being_handled_is_not_disturbed():
    row = received()
    claim = claimed(row)
    assert not webhooks.handle_again(row)
    webhooks.end(claim, WebhookState.HANDLED, "done")
    assert reread(row).state == "handled"


def test_housekeeping_names_those_that_are_due_but_not_while_credly_refuses_the_key():
    row, closed = received(), received()
    Organization.objects.filter(pk=closed.organization_id).update(
        call_again_at=timezone.now() + timedelta(minutes=1), gate_reason="key refused", gate_closed_at=timezone.now()
    )
    assert webhooks.named_due(10) == [row.pk]
    assert webhooks.named_due(10) == [], "named twice within the interval"


def test_one_that_is_taken_up_again_and_again_without_a_result_is_ignored_with_the_reason(caplog):
    row = received()
    for _ in range(claims.MOST_TAKEN_UP):
        claimed(row)
        Webhook.objects.update(claimed_until=timezone.now())
    assert webhooks.claim(webhooks.due(row.pk)) is None
    now = reread(row)
    assert (now.state, now.due_at, now.claim) == ("ignored", None, None)
    assert "its worker died of it, or was killed" in now.outcome
    assert "taken up 4 times without a result" in caplog.text
    assert webhooks.handle_again(row)
    assert claimed(row)


def test_any_result_counts_anew_how_often_a_webhook_is_taken_up():
    row = received()
    for _ in range(2 * claims.MOST_TAKEN_UP):
        Webhook.objects.update(due_at=timezone.now())
        webhooks.postpone(claimed(row), "Credly is away")
    Webhook.objects.update(due_at=timezone.now())
    webhooks.end(claimed(row), WebhookState.HANDLED, "done")
    assert (reread(row).state, reread(row).taken_up) == ("handled", 0)


def test_a_refused_key_does_not_hide_that_a_webhook_kills_its_worker():
    row = received()
    claimed(row)
    Webhook.objects.update(claimed_until=timezone.now())
    webhooks.hold_back(row, timezone.now(), "no key")
    assert reread(row).taken_up == 1
