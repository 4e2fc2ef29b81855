"""The first page: what needs attention, the way from events to badges in numbers, and the last days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.admin import attention
from pipeline.admin.attention import FRESH_SECONDS, Finding
from pipeline.admin.charts import Chart
from pipeline.admin.first_steps import first_steps
from pipeline.admin.theme import may_view
from pipeline.bus.waiting import is_kafka
from pipeline.models import Badge, Event, Organization, Progress, Signal
from pipeline.reports.status import pipeline_status
from pipeline.reports.trends import Trend, badges_per_day, events_per_day

PERIODS = (14, 30)
"""Days that the charts may show; the first is the usual."""


@dataclass(frozen=True)
class Step:
    """One number of the funnel, and the list of the rows it counts."""

    title: str | Promise
    meaning: str | Promise
    model: type[Model]
    where: Mapping[str, Any]
    number: int

    @property
    def url(self) -> str:
        """The list of the rows that are counted."""
        return attention.list_url(self.model, self.where)


@dataclass(frozen=True)
class Numbers:
    """All that is counted for the page, at one time."""

    at: datetime
    status: dict[str, Any]
    progress: int
    events: Trend
    badges: Trend


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the first page: what this member of staff may see of it.  Named in the setting `UNFOLD`."""
    days = _period(request)
    numbers = _numbers(days)
    return context | {
        "title": _("Dashboard"),
        "at": numbers.at,
        "days": days,
        "periods": PERIODS,
        "findings": [
            found for found in _findings(numbers.status) if found.model is None or may_view(request, found.model)
        ],
        "first_steps": first_steps(request),
        "steps": [step for step in _funnel(numbers) if may_view(request, step.model)],
        "charts": [chart for model, chart in _charts(numbers) if may_view(request, model)],
        "may_view_anything": any(may_view(request, model) for model in (Event, Badge, Organization)),
    }


def _period(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return next((days for days in PERIODS if str(days) == given), PERIODS[0])


def _numbers(days: int) -> Numbers:
    """Counted anew after `FRESH_SECONDS`, so that many who look cost no more than one."""
    numbers: Numbers | None = cache.get_or_set(f"dashboard-{days}", lambda: _count(days), FRESH_SECONDS)
    return numbers or _count(days)


def _count(days: int) -> Numbers:
    return Numbers(
        at=timezone.now(),
        status=pipeline_status(),
        progress=Progress.objects.count(),
        events=events_per_day(days),
        badges=badges_per_day(days),
    )


def _funnel(numbers: Numbers) -> list[Step]:
    status = numbers.status
    return [
        Step(
            _("Events"),
            _("All events in the inbox, whatever became of them. They are kept for {days} days.").format(
                days=settings.RETENTION_DAYS
            ),
            Event,
            {},
            sum(status["events"].values()),
        ),
        Step(
            _("Matched"),
            _("Events in the inbox that met a requirement or penalty of an active template."),
            Event,
            {"status__exact": "processed"},
            status["events"]["processed"],
        ),
        Step(
            _("Fulfilled"),
            _("Learners for whom events decided a requirement, fulfilled or taken back; counted once per template."),
            Progress,
            {},
            numbers.progress,
        ),
        Step(
            _("Awarded"),
            _("Badges that the rules give now: all that was needed is fulfilled, and nothing took it back."),
            Badge,
            {"standing__exact": "awarded"},
            status["badges"]["awarded"],
        ),
        Step(
            _("At Credly"),
            _("Badges that Credly holds now: pending, accepted or declined by the learner."),
            Badge,
            {"credly_state__in": ("pending", "accepted", "rejected")},
            status["credly"]["issued"],
        ),
        Step(
            _("Signals sent"),
            _("Messages badge.awarded and badge.revoked that are on the event bus for the LMS."),
            Signal,
            {"state__exact": "sent"},
            status["signals"]["sent"],
        ),
    ]


def _charts(numbers: Numbers) -> list[tuple[type[Model], Chart]]:
    return [
        (
            Event,
            Chart(
                _("Events received per day"),
                [_("received"), _("processed"), _("ignored"), _("failed")],
                numbers.events,
                ["blue-400", "green-600", "base-400", "red-600"],
            ),
        ),
        (
            Signal,
            Chart(
                _("Badges issued and revoked at Credly per day"),
                [_("issued"), _("revoked")],
                numbers.badges,
                ["green-600", "orange-500"],
            ),
        ),
    ]


def _findings(status: dict[str, Any]) -> list[Finding]:
    """What stands still for all, then what the database tells."""
    return [*_standstills(status), *attention.findings(), *_keys_that_expire(status)]


def _standstills(status: dict[str, Any]) -> list[Finding]:
    unread = status["bus"]["unread"]
    trimmed_at = settings.EVENT_BUS_REDIS_STREAM_MAX_LEN
    found = []
    if not settings.BADGES_ENABLED:
        advice = _("No event is read and no badge is issued. Set BADGES_ENABLED=true and start all processes again.")
        found.append(Finding(_("Badges are switched off"), advice, None, reverse("status"), urgent=True))
    if unread is None:
        advice = _("No event is read and no signal is sent. See that {bus} runs; nothing of what is stored is lost.")
        text = advice.format(bus="Kafka" if is_kafka() else "Redis")
        found.append(Finding(_("The event bus does not answer"), text, None, reverse("status"), urgent=True))
    elif unread > trimmed_at // 2 and not is_kafka():
        advice = _("The LMS may trim the bus beyond {most} messages, read or not. Run more consumers.")
        text = advice.format(most=trimmed_at)
        found.append(Finding(_("Unread messages on the event bus"), text, unread, reverse("status"), urgent=True))
    return found


def _keys_that_expire(status: dict[str, Any]) -> list[Finding]:
    number = len(status["keys_expiring"])
    advice = _("Make a new key at Credly and enter it before the old one ends.")
    finding = Finding(
        _("API keys that expire soon"), advice, number, attention.list_url(Organization, {}), False, Organization
    )
    return [finding] if number else []
