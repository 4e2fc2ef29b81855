"""Gauges from the database: what waits and for how long, what failed, and what is wrong with organizations.

Every process and host shares it, so whichever web process is asked, the answer is the same.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from pipeline.configuration import gate, keys
from pipeline.ledgers import gaps, inbox
from pipeline.metrics.gauges import gauge, gauge_by
from pipeline.models import (
    Badge,
    CredlyState,
    Discrepancy,
    Event,
    EventStatus,
    GateReason,
    Organization,
    Signal,
    SignalState,
    Webhook,
)

MANY_ATTEMPTS = 10
"""Half an hour of trying: the waits between attempts double up to ten minutes."""


def gauges() -> Iterator[GaugeMetricFamily]:
    """All of them.

    Raises:
        django.db.DatabaseError, django.db.InterfaceError: the database does not answer.
    """
    now = timezone.now()
    yield gauge_by(
        "state",
        "badges_events",
        "Events that wait for evaluation (received), or for a person (failed).",
        _unfinished_events(),
    )
    yield from _work(now)
    yield _by_state("badges_badges", "Badges by what Credly holds of them.", Badge, "credly_state", CredlyState.values)
    yield _by_state(
        "badges_signals",
        "Signals that wait for the bus (pending), or for a person (failed).",
        Signal,
        "state",
        [SignalState.PENDING, SignalState.FAILED],
    )
    retried = Badge.objects.filter(due_at__isnull=False, attempts__gte=MANY_ATTEMPTS).count()
    yield gauge(
        "badges_retried", f"Badges that were tried {MANY_ATTEMPTS} times or more, and are tried again.", retried
    )
    yield from _organizations()
    yield from _differences()


def _unfinished_events() -> dict[str, int]:
    """How many are not done with; of those that are, there are too many to count."""
    states = (EventStatus.RECEIVED, EventStatus.FAILED)
    rows = Event.objects.filter(status__in=states).values_list("status").order_by()
    return dict.fromkeys((state.value for state in states), 0) | dict(rows.annotate(count=Count("*")))


def _work(now: datetime) -> Iterator[GaugeMetricFamily]:
    """What waits for each stage.  What the gate in front of Credly holds back waits, but is not due."""
    rows = {
        "evaluate": (Event.objects.all(), Q()),
        "issue": (Badge.objects.all(), Q(template__organization__call_again_at__gt=now)),
        "emit": (Signal.objects.all(), Q()),
        "webhook": (Webhook.objects.all(), Q(organization__call_again_at__gt=now)),
    }
    waiting, due, oldest = {}, {}, {}
    for stage, (model, held_back) in rows.items():
        waiting[stage] = model.filter(due_at__isnull=False).count()
        due[stage], since = _due(model.filter(due_at__lte=now), held_back)
        oldest[stage] = _age(since, now)
    yield gauge_by("stage", "badges_waiting", "Rows that a stage has still to do.", waiting)
    yield gauge_by(
        "stage",
        "badges_due",
        f"Of those, the ones whose time has come; an event's has {inbox.EVALUATED_WITHIN.seconds} s after it was stored, and "
        "each time that housekeeping sent it to evaluation as long again as it had waited.",
        due,
    )
    yield gauge_by("stage", "badges_oldest_due_seconds", "How long the first of those has been due.", oldest)


def _due(rows: QuerySet[Any], held_back: Q) -> tuple[int, datetime | None]:
    if held_back:
        rows = rows.exclude(held_back)
    found = rows.aggregate(count=Count("*"), since=Min("due_at"))
    return found["count"], found["since"]


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def _by_state(name: str, meaning: str, model: Any, field: str, states: list[Any]) -> GaugeMetricFamily:
    """The index of the field alone answers."""
    rows = model.objects.filter(**{f"{field}__in": states}).values_list(field).order_by()
    return gauge_by("state", name, meaning, dict.fromkeys(map(str, states), 0) | dict(rows.annotate(count=Count("*"))))


def _organizations() -> Iterator[GaugeMetricFamily]:
    closed = GaugeMetricFamily(
        "badges_gate_closed",
        "Whether Credly is not called for an organization, for this reason.",
        labels=["organization", "reason"],
    )
    expires = GaugeMetricFamily(
        "badges_key_expires_timestamp_seconds",
        "When an organization's API key expires; nothing where that is not known.",
        labels=["organization"],
    )
    for organization in Organization.objects.defer("api_key"):
        for reason in GateReason:
            is_closed = gate.reason(organization) is reason
            closed.add_metric([str(organization.uuid), reason.value.replace(" ", "_")], is_closed)
        if expiry := keys.expires_at(organization):
            expires.add_metric([str(organization.uuid)], expiry.timestamp())
    yield closed
    yield expires


def _differences() -> Iterator[GaugeMetricFamily]:
    lost = gaps.unsettled().aggregate(count=Count("*"), messages=Sum("messages"))
    yield gauge("badges_gaps", "Losses on the bus that no operator has settled.", lost["count"])
    yield gauge("badges_gap_messages", "Messages lost by them, as far as the bus can tell.", lost["messages"] or 0)
    differences = Discrepancy.objects.filter(repair_queued_at=None).count()
    yield gauge("badges_discrepancies", "Differences to Credly whose repair is not queued.", differences)
