"""housekeeping: everything that is due is named from the database alone, and nothing twice at once."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.ledgers import claims, holdings, outbox, webhooks
from pipeline.models import Badge, Event, Signal, Webhook
from tests.ledgers.builders import (
    badge,
    claimed_signal,
    ended_claim,
    lms_learner,
    make_due,
    organization,
    passes,
    received,
)

pytestmark = pytest.mark.django_db

NOTHING = stages.Due(events=[], badges=[], signals=[], webhooks=[])


@pytest.fixture
def overdue() -> stages.Due:
    """An event, a badge, a signal and a webhook whose nudges were all lost."""
    [event] = received(passes(lms_learner(), 1))
    Event.objects.update(due_at=timezone.now())
    [signal] = outbox.write(badge(due_at=None), outbox.AWARDED)
    webhook = webhooks.receive(organization(), uuid4(), "badge.created")
    return stages.Due(events=[event], badges=[badge().pk], signals=[signal], webhooks=[webhook])


def pass_the_nudge_interval() -> None:
    for model in (Badge, Signal, Webhook):
        model.objects.update(nudged_at=timezone.now() - claims.NUDGE_AGAIN_AFTER)
    Event.objects.filter(due_at__isnull=False).update(due_at=timezone.now())


def test_everything_that_is_due_is_named(overdue):
    assert stages.due() == overdue


def test_nothing_is_named_twice_within_the_nudge_interval(overdue):
    stages.due()
    assert stages.due() == NOTHING


def test_what_nobody_took_up_is_named_again_after_the_interval(overdue):
    stages.due()
    pass_the_nudge_interval()
    assert stages.due() == overdue


def test_what_is_not_due_is_not_named():
    received(passes(lms_learner(), 1))
    badge(due_at=timezone.now() + timedelta(minutes=1))
    badge(due_at=None)
    assert stages.due() == NOTHING


def test_a_badge_whose_worker_died_is_named_once_its_claim_has_ended():
    row = badge()
    holdings.claim(holdings.due(row.pk))
    assert stages.due() == NOTHING
    ended_claim(row)
    assert stages.due().badges == [row.pk]


def test_a_signal_whose_worker_died_is_named_once_its_claim_has_ended():
    [pk] = outbox.write(badge(due_at=None), outbox.AWARDED)
    signal, _ = claimed_signal(pk)
    assert stages.due() == NOTHING
    ended_claim(signal)
    assert stages.due().signals == [pk]


def test_what_was_done_is_named_no_more(overdue):
    row = Badge.objects.get(pk=overdue.badges[0])
    make_due(row)
    holdings.held(holdings.claim(holdings.due(row.pk)), uuid4(), holdings.CredlyState.PENDING, "issued")
    signal, token = claimed_signal(overdue.signals[0])
    outbox.sent([signal], token)
    Event.objects.update(status="processed", due_at=None)
    pass_the_nudge_interval()
    later = stages.due()
    assert (later.events, later.badges) == ([], [])
    assert overdue.signals[0] not in later.signals
