"""What an operator sees of `purge_events`."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline.ledgers import inbox
from pipeline.models import Event, EventStatus
from tests.ledgers.builders import lms_learner, passes, received
from tests.management.commands import run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def aged_events() -> None:
    """Events of 1, 10 and 200 days."""
    for days in (1, 10, 200):
        [event] = received(passes(lms_learner(), days))
        inbox.finish(inbox.waiting([event]), EventStatus.IGNORED)
        Event.objects.filter(pk=event).update(received_at=timezone.now() - timedelta(days=days))


def test_without_options_the_setting_decides(capsys: Capture):
    ran = run(capsys, "purge_events")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Removed what was received before ")
    assert ran.out.endswith(" UTC: events 1, webhooks 0.\n")
    assert Event.objects.count() == 2


def test_a_dry_run_says_the_same_number_and_removes_nothing(capsys: Capture):
    ran = run(capsys, "purge_events", "--days", "5", "--dry-run")
    assert ran.out.startswith("Would remove what was received before ")
    assert ran.out.endswith(" UTC: events 2, webhooks 0.\n")
    assert Event.objects.count() == 3


def test_days_go_before_the_setting_and_a_second_run_finds_nothing(capsys: Capture):
    assert run(capsys, "purge_events", "--days", "5").out.endswith("events 2, webhooks 0.\n")
    assert run(capsys, "purge_events", "--days", "5").out.endswith("events 0, webhooks 0.\n")
    assert Event.objects.count() == 1


@pytest.mark.parametrize("days", ["0", "-1", "many", "1.5", "99999999"])
def test_a_wrong_number_of_days_is_a_usage_error_and_removes_nothing(capsys: Capture, days: str):
    ran = run(capsys, "purge_events", f"--days={days}")
    assert ran.status == 2
    assert f"'{days}' is not allowed; it must be a whole number from 1" in ran.err
    assert Event.objects.count() == 3
