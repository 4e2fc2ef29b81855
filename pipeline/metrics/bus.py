"""Gauges from the event bus: what our consumers have still to read, and how long it has waited."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from pipeline.metrics.gauges import gauge_by
from pipeline.reports.backlog import backlogs


def gauges() -> Iterator[GaugeMetricFamily]:
    """All of them.

    Raises:
        pipeline.bus.unavailable.BusUnavailable: the bus does not answer.
        django.db.DatabaseError, django.db.InterfaceError: the database, which knows our consumer groups, does not.
    """
    waiting = backlogs()
    now = timezone.now()
    ages = {
        topic: max((now - backlog.oldest).total_seconds(), 0.0) if backlog.oldest else 0.0
        for topic, backlog in waiting.items()
    }
    entries = {topic: backlog.entries for topic, backlog in waiting.items()}
    yield gauge_by("topic", "badges_bus_unread", "Messages that wait for our consumers.", entries)
    yield gauge_by("topic", "badges_bus_oldest_unread_seconds", "How long the first of them has waited.", ages)
