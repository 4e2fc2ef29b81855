"""The outbox: each fact is told once, in order, and never given up."""

from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline.ledgers import claims, outbox
from pipeline.models import Badge, Signal, SignalState, Standing
from tests.ledgers.builders import badge, claimed_signal, ended_claim, learner, make_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Signal:
    return Signal.objects.get(pk__in=outbox.write(badge(), outbox.AWARDED))


def reread(signal: Signal) -> Signal:
    return Signal.objects.get(pk=signal.pk)


def test_a_signal_says_who_holds_which_badge(told):
    row = told.badge
    assert told.payload == {
        "uuid": str(row.uuid),
        "user": {
            "id": row.learner.lms_user_id,
            "is_active": True,
            "pii": {"username": row.learner.username, "email": row.learner.email, "name": row.learner.name},
        },
        "template": {
            "uuid": str(row.template.uuid),
            "origin": "credly",
            "name": "Intro Course",
            "description": "",
            "image_url": "https://credly.example/i.png",
        },
    }
    assert (told.state, told.sent_at) == ("pending", None)
    assert told.due_at <= timezone.now()


def test_a_fact_about_a_badge_is_told_once(told):
    assert outbox.write(told.badge, outbox.AWARDED) == []
    assert len(outbox.write(told.badge, outbox.REVOKED)) == 1
    assert Signal.objects.count() == 2


def test_of_two_claims_of_a_signal_one_wins(told):
    assert claimed_signal(told.pk) is not None
    assert claimed_signal(told.pk) is None


def test_what_was_sent_is_not_sent_again(told):
    signal, token = claimed_signal(told.pk)
    outbox.sent([signal], token)
    assert outbox.following([signal]) == []
    now = reread(told)
    assert (now.state, now.due_at, now.claim) == ("sent", None, None)
    assert now.sent_at is not None
    make_due(told)
    assert claimed_signal(told.pk) is None


def test_what_no_topic_wants_is_disabled(told):
    signal, token = claimed_signal(told.pk)
    outbox.disabled([signal], token)
    assert (reread(told).state, reread(told).sent_at) == ("disabled", None)


def test_a_signal_that_the_bus_did_not_take_stays_pending_and_is_due_later(told):
    signal, token = claimed_signal(told.pk)
    outbox.postpone(signal, token, "The bus is away.")
    now = reread(told)
    assert (now.state, now.error, now.claim) == ("pending", "The bus is away.", None)
    assert now.due_at > timezone.now()
    assert claimed_signal(told.pk) is None
    make_due(told)
    assert claimed_signal(told.pk) is not None


def test_however_often_it_failed_a_signal_waits_a_minute_at_most(told):
    Signal.objects.update(attempts=10_000)
    signal, token = claimed_signal(told.pk)
    outbox.postpone(signal, token, "The bus is away.")
    assert (reread(told).due_at - timezone.now()).total_seconds() <= 60


def test_a_signal_that_fits_no_bus_fails_with_the_reason(told):
    signal, token = claimed_signal(told.pk)
    outbox.fail(signal, token, KeyError("user"))
    assert (reread(told).state, reread(told).error, reread(told).due_at) == ("failed", "KeyError: 'user'", None)


def test_signals_of_one_learner_and_template_are_sent_in_order(told):
    [second] = outbox.write(told.badge, outbox.REVOKED)
    assert claimed_signal(second) is None
    signal, token = claimed_signal(told.pk)
    assert claimed_signal(second) is None
    outbox.sent([signal], token)
    assert outbox.following([signal]) == [second]
    assert claimed_signal(second) is not None


def test_the_signal_of_the_next_cycle_waits_for_those_of_the_earlier_one(told):
    earlier = told.badge
    Badge.objects.update(standing=Standing.REVOKED)
    [second] = outbox.write(earlier, outbox.REVOKED)
    [third] = outbox.write(badge(learner=earlier.learner, template=earlier.template, cycle=2), outbox.AWARDED)
    assert claimed_signal(third) is None
    for expected, following in ((told.pk, [second]), (second, [third]), (third, [])):
        signal, token = claimed_signal(expected)
        outbox.sent([signal], token)
        assert outbox.following([signal]) == following


def test_a_signal_that_failed_for_good_does_not_hold_back_the_next(told):
    [second] = outbox.write(told.badge, outbox.REVOKED)
    signal, token = claimed_signal(told.pk)
    outbox.fail(signal, token, ValueError("unfit"))
    assert claimed_signal(second) is not None


def test_signals_of_other_learners_and_templates_do_not_wait(told):
    for other in (badge(learner=told.badge.learner), badge(learner=learner(), template=told.badge.template)):
        [signal] = outbox.write(other, outbox.AWARDED)
        assert claimed_signal(signal) is not None


def test_a_worker_that_lost_its_claim_changes_nothing(told):
    signal, _ = claimed_signal(told.pk)
    ended_claim(told)
    _, token = claimed_signal(told.pk)
    outbox.postpone(signal, uuid4(), "late")
    outbox.fail(signal, uuid4(), ValueError("late"))
    now = reread(told)
    assert (now.state, now.claim, now.error) == (SignalState.PENDING, token, "")


def test_a_signal_that_is_taken_up_again_and_again_without_a_result_fails_and_holds_back_no_other(told):
    """As when it kills its worker each time."""
    [second] = outbox.write(told.badge, outbox.REVOKED)
    for _ in range(claims.MOST_TAKEN_UP):
        assert claimed_signal(told.pk) is not None
        ended_claim(told)
    assert claimed_signal(told.pk) is None
    assert (reread(told).state, reread(told).due_at) == ("failed", None)
    assert "without a result" in reread(told).error
    assert claimed_signal(second) is not None
    assert outbox.redrive(reread(told))
    assert claimed_signal(told.pk) is not None


def test_a_bus_that_is_away_for_long_is_not_the_signals_fault(told):
    for _ in range(3 * claims.MOST_TAKEN_UP):
        signal, token = claimed_signal(told.pk)
        outbox.postpone(signal, token, "The bus is away.")
        make_due(told)
    assert reread(told).state == "pending"
