"""The state of the whole pipeline in numbers, for `pipeline_status`, the status page and the demo."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, Min
from django.utils import timezone

from pipeline.bus.unavailable import BusUnavailable
from pipeline.bus.waiting import unread
from pipeline.configuration import gate, keys
from pipeline.ledgers import gaps
from pipeline.models import (
    Backfill,
    BackfillState,
    Badge,
    CredlyState,
    Discrepancy,
    Event,
    EventStatus,
    Gap,
    GateReason,
    Organization,
    Signal,
    SignalState,
    Standing,
    Webhook,
)
from pipeline.reports.backlog import our_groups

HELD = (CredlyState.PENDING, CredlyState.ACCEPTED, CredlyState.REJECTED)


def pipeline_status() -> dict[str, Any]:
    """Counts by state at every stage; the contract's section 4 names the keys.

    `bus.unread` is what our consumer groups have not stored yet, None while the bus can't be asked; then `idle`, which
    says that nothing waits at any stage and no backfill is running, is false.  `bus.gaps` has the unsettled gaps, `messages`
    being None where the bus can't tell how many were lost.  `keys_expiring` has the API keys that expire within 30 days,
    with negative `days` those that have.  `credly.circuits` has the gate of each organization.
    `discrepancies` are differences to Credly whose repair is not queued.
    """
    # Down the way of an event: what moves on while we read is then seen at a later stage, and never at none.
    before = _unread()
    is_backfilling = Backfill.objects.filter(state=BackfillState.RUNNING).exists()
    events = _counts(Event, "status", EventStatus.values)
    badges = _counts(Badge, "standing", Standing.values)
    pending = Badge.objects.filter(due_at__isnull=False).count()
    webhooks = Webhook.objects.filter(due_at__isnull=False).count()
    credly_states = _counts(Badge, "credly_state", CredlyState.values)
    signals = _counts(Signal, "state", SignalState.values)
    # Once more, for the signals that were put on the bus meanwhile: we read that topic too, and badges may need badges.
    after = _unread()
    events["received"] = max(events["received"], Event.objects.filter(status=EventStatus.RECEIVED).count())
    pending = max(pending, Badge.objects.filter(due_at__isnull=False).count())
    waiting = None if before is None or after is None else max(before, after)
    credly = {
        "pending": pending,
        "issued": sum(credly_states[state] for state in HELD),
        "revoked": credly_states[CredlyState.REVOKED],
        "failed": credly_states[CredlyState.FAILED],
        "circuits": [_circuit(organization) for organization in Organization.objects.defer("api_key")],
    }
    return {
        "events": events,
        "badges": badges,
        "credly": credly,
        "signals": signals,
        "webhooks": {"waiting": webhooks},
        "bus": {"unread": waiting, "gaps": [_gap(gap) for gap in gaps.unsettled()]},
        "keys_refused": [
            _refused(organization) for organization in Organization.objects.filter(gate_reason=GateReason.KEY_REFUSED)
        ],
        "keys_expiring": [_expiring(key) for key in keys.expiring()],
        "discrepancies": Discrepancy.objects.filter(repair_queued_at=None).count(),
        "oldest_waiting": _oldest_waiting(),
        "idle": waiting == 0
        and not any((is_backfilling, events["received"], credly["pending"], signals["pending"], webhooks)),
    }


def _counts(model: Any, field: str, values: Iterable[str]) -> dict[str, int]:
    counted = dict(model.objects.values_list(field).annotate(number=Count("*")).order_by())
    return {value: counted.get(value, 0) for value in values}


def _unread() -> int | None:
    try:
        # What one group of ours has stored is stored: a group that nobody uses any more does not count.
        return sum(min(unread(topic, group) for group in groups) for topic, groups in our_groups().items())
    except BusUnavailable:
        return None


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "topic": gap.topic,
        "group": gap.group,
        "messages": gap.messages,
        "from": _text(gap.lost_from),
        "until": _text(gap.lost_until),
        "found": _text(gap.found_at),
    }


def _refused(organization: Organization) -> dict[str, str]:
    return {"organization": str(organization.uuid), "since": _text(organization.gate_closed_at)}


def _circuit(organization: Organization) -> dict[str, Any]:
    """Whether Credly is called for an organization.

    `closed` as long as all goes well, `open` while nothing goes through, `half-open` when the next call may go as a probe.
    """
    why = gate.reason(organization)
    again = organization.call_again_at
    is_open = why is not None and again is not None and again > timezone.now()
    return {
        "organization": str(organization.uuid),
        "state": "closed" if why is None else "open" if is_open else "half-open",
        "reason": why.value if why else "",
        "failures": organization.failures,
        "since": _text(organization.gate_closed_at),
        "next_call": _text(again) if why else "",
    }


def _expiring(key: keys.Expiring) -> dict[str, Any]:
    return {"organization": str(key.organization.uuid), "expires": _text(key.expires), "days": key.days}


def _oldest_waiting() -> dict[str, Any] | None:
    """What has been due longest, since when, and for how many seconds; None when nothing waits.

    While nothing is due it is what comes first, and the seconds are none.
    """
    rows = {"event": Event, "badge": Badge, "signal": Signal, "webhook": Webhook}
    times = {kind: model._default_manager.aggregate(at=Min("due_at"))["at"] for kind, model in rows.items()}
    due = {kind: at for kind, at in times.items() if at is not None}
    if not due:
        return None
    kind = min(due, key=lambda name: due[name])
    seconds = (timezone.now() - due[kind]).total_seconds()
    return {"kind": kind, "since": _text(due[kind]), "seconds": max(int(seconds), 0)}


def _text(time: datetime | None) -> str:
    return time.isoformat(timespec="seconds") if time else ""
