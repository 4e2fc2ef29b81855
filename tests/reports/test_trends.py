"""Numbers per day, for the charts."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from pipeline.ledgers import outbox
from pipeline.models import Event, Signal
from pipeline.reports.trends import badges_per_day, events_per_day
from tests.ledgers.builders import badge, lms_learner, passes, received

pytestmark = pytest.mark.django_db


def midnight(days_ago: int = 0) -> datetime:
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def event(received_at: datetime, status: str = "processed") -> None:
    [pk] = received(passes(lms_learner(), 1))
    Event.objects.filter(pk=pk).update(received_at=received_at, status=status)


def signal(created_at: datetime, event_type: str = outbox.AWARDED) -> None:
    [pk] = outbox.write(badge(), event_type)
    Signal.objects.filter(pk=pk).update(created_at=created_at)


def test_with_nothing_there_every_day_has_a_zero():
    trend = events_per_day(14)
    assert [day.isoformat() for day in trend.days] == [f"{midnight(ago):%Y-%m-%d}" for ago in range(13, -1, -1)]
    assert trend.series == dict.fromkeys(("received", "processed", "ignored", "failed"), [0] * 14)
    assert badges_per_day(30).series == {"issued": [0] * 30, "revoked": [0] * 30}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_an_event_counts_on_its_day_of_utc_whatever_the_time_zone(settings, zone):
    settings.TIME_ZONE = zone
    event(midnight(1))
    event(midnight(1) - timedelta(microseconds=1))
    event(midnight(0) - timedelta(microseconds=1))
    assert events_per_day(4).series["processed"] == [0, 1, 2, 0]


def test_events_of_each_status_are_counted_apart_and_older_ones_not_at_all():
    event(midnight(2), "failed")
    event(midnight(2), "ignored")
    event(midnight(2), "ignored")
    event(midnight(3))
    assert events_per_day(3).series == {
        "received": [0, 0, 0],
        "processed": [0, 0, 0],
        "ignored": [2, 0, 0],
        "failed": [1, 0, 0],
    }


def test_badges_are_counted_when_credly_has_issued_and_when_it_has_revoked_them():
    signal(midnight(1))
    signal(midnight(1))
    signal(midnight(0), outbox.REVOKED)
    signal(midnight(2) - timedelta(microseconds=1))
    badge()
    assert badges_per_day(3).series == {"issued": [0, 2, 0], "revoked": [0, 0, 1]}


def test_the_number_of_queries_is_one_whatever_there_is(django_assert_num_queries):
    event(midnight(1)), event(midnight(0), "failed")
    with django_assert_num_queries(1):
        events_per_day(30)
    with django_assert_num_queries(1):
        badges_per_day(30)
