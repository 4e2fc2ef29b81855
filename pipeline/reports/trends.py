"""What happened per day: events by status, badges by what became of them.  Days are those of UTC."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from pipeline.ledgers import outbox
from pipeline.models import Event, EventStatus, Signal


@dataclass(frozen=True)
class Trend:
    """For each name one number per day."""

    days: list[date]
    """Oldest first; the last is today."""
    series: dict[str, list[int]]


def events_per_day(number_of_days: int) -> Trend:
    """Events by the day they came in and by their status as it is now; the names are those of `EventStatus`."""
    days = _last(number_of_days)
    # Naming every status lets the database answer from the index over status and time alone.
    events = Event.objects.filter(status__in=EventStatus.values, received_at__gte=_start(days))
    return _trend(days, {status: status for status in EventStatus.values}, events, "status", "received_at")


def badges_per_day(number_of_days: int) -> Trend:
    """Badges that Credly has issued (`issued`) and has revoked (`revoked`), by the day Credly confirmed it.

    Counted by their signals: one is written together with each such record.
    """
    days = _last(number_of_days)
    names = {outbox.AWARDED: "issued", outbox.REVOKED: "revoked"}
    signals = Signal.objects.filter(event_type__in=names, created_at__gte=_start(days)).order_by()
    return _trend(days, names, signals, "event_type", "created_at")


class _UtcDay(TruncDate):
    """The day of a time.  SQLite would call a Python function for each row; its times are texts that begin with the day."""

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        text, parameters = compiler.compile(self.lhs)
        return f"substr({text}, 1, 10)", tuple(parameters)


def _last(number: int) -> list[date]:
    today = timezone.now().astimezone(UTC).date()
    return [today - timedelta(days=ago) for ago in reversed(range(number))]


def _start(days: list[date]) -> datetime:
    return datetime.combine(days[0], time(), UTC)


def _trend(days: list[date], names: Mapping[str, str], rows: QuerySet[Any], kind: str, moment: str) -> Trend:
    """Count rows by kind and day; `names` has the name of each kind."""
    counts: Counter[tuple[str, date]] = Counter()
    for found, day, number in rows.values_list(kind, _UtcDay(moment, tzinfo=UTC)).annotate(number=Count("*")):
        counts[names[found], day] = number
    return Trend(days, {name: [counts[name, day] for day in days] for name in names.values()})
