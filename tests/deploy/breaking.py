"""Ways to break the pipeline, by the alert that has to notice."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone
from redis import Redis

from pipeline import measures
from pipeline.bus.gap import Gap
from pipeline.configuration import gate
from pipeline.ledgers import gaps, holdings, inbox, outbox
from pipeline.models import Badge, Discrepancy, EventStatus, Organization, Signal
from tests.ledgers.builders import TOPIC, badge, claimed, claimed_signal, held_badge, lms_learner, passes, received

Break = Callable[[Redis], None]


def ran(bus: Redis, **ago: float) -> None:
    """Stages ended a run so many seconds ago."""
    for stage, seconds in ago.items():
        field = json.dumps([measures.STAGE_LAST_RUN.name, stage, ""])
        bus.hset(measures.KEY, field, time.time() - seconds)


def well(bus: Redis) -> None:
    """Everything runs, somebody's event just ended, and one badge is at Credly."""
    ran(bus, beat=3, housekeeping=2, consume=4)
    inbox.finish(inbox.waiting(received(passes(lms_learner(), 1))), EventStatus.IGNORED)
    row = held_badge()
    Organization.objects.update(key_expires_at=timezone.now() + timedelta(days=100))
    Signal.objects.filter(badge=row).update(state="sent", due_at=None)


def _message_waits(bus: Redis) -> None:
    seconds, _ = bus.time()
    bus.xadd(TOPIC, {"n": 1}, id=f"{(seconds - 400) * 1000}-0")


def _event_waits(bus: Redis) -> None:
    received(passes(lms_learner(), 1))


def _badge_is_overdue(bus: Redis) -> None:
    badge(due_at=timezone.now() - timedelta(seconds=700))


def _badge_is_tried_in_vain(bus: Redis) -> None:
    row = badge(attempts=20)
    holdings.postponed(claimed(row), row.credly_state, "Credly is away")


def _close_gate(reason: Callable[[Organization], Any]) -> Break:
    def close(bus: Redis) -> None:
        reason(Organization.objects.get())

    return close


def _credly_fails(organization: Organization) -> None:
    for _ in range(gate.MOST_FAILURES):
        gate.failed(organization)


def _key_runs_out(bus: Redis) -> None:
    Organization.objects.update(key_expires_at=timezone.now() + timedelta(days=13))


def _messages_are_lost(bus: Redis) -> None:
    gaps.record(Gap(TOPIC, "ours", "1-0", "9-0", count=3), TOPIC)


def _event_fails(bus: Redis) -> None:
    [event] = received(passes(lms_learner(), 1))
    inbox.refuse(event, "Nobody knows why.")


def _badge_fails(bus: Redis) -> None:
    holdings.failed(claimed(badge()), "Credly says no.")


def _signal_fails(bus: Redis) -> None:
    row = held_badge()
    taken = claimed_signal(row.signals.get().pk)
    assert taken
    outbox.fail(*taken, ValueError("no event"))


def _badge_differs(bus: Redis) -> None:
    Discrepancy.objects.create(
        organization=Organization.objects.get(), kind="missing", badge=Badge.objects.get(), found_at=timezone.now()
    )


BREAKS: dict[str, Break] = {
    "BadgesBeatSilent": lambda bus: ran(bus, beat=200, housekeeping=200),
    "BadgesWorkersDeaf": lambda bus: ran(bus, housekeeping=200),
    "BadgesBusBehind": _message_waits,
    "BadgesWorkOverdue": _badge_is_overdue,
    "BadgesEventsWait": _event_waits,
    "BadgesTriedInVain": _badge_is_tried_in_vain,
    "BadgesKeyRefused": _close_gate(lambda organization: gate.refused(organization, "401")),
    "BadgesCredlyFails": _close_gate(_credly_fails),
    "BadgesThrottled": _close_gate(lambda organization: gate.throttled(organization, 600)),
    "BadgesKeyExpires": _key_runs_out,
    "BadgesLostOnTheBus": _messages_are_lost,
    "BadgesEventsFailed": _event_fails,
    "BadgesBadgesFailed": _badge_fails,
    "BadgesSignalsFailed": _signal_fails,
    "BadgesDiffer": _badge_differs,
}
