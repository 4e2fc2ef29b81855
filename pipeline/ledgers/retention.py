"""Retention: events and webhooks that ended are kept for a number of days; progress, badges and signals stay.

A refused webhook was forged: anybody can post any number of them, so a day is enough to look at them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from pipeline.models import Event, EventStatus, Webhook, WebhookState

BATCH = 1000
"""Rows of a kind that one transaction removes, in a fraction of a second."""

ENDED_EVENTS = (EventStatus.PROCESSED, EventStatus.IGNORED, EventStatus.FAILED)
ENDED_WEBHOOKS = (WebhookState.HANDLED, WebhookState.IGNORED, WebhookState.REFUSED)

REFUSED_KEPT = timedelta(days=1)
"""How long a refused webhook is kept."""


@dataclass(frozen=True)
class Removed:
    """A number of events and of webhooks."""

    events: int
    webhooks: int

    def __add__(self, other: "Removed") -> "Removed":
        """Both together."""
        return Removed(self.events + other.events, self.webhooks + other.webhooks)

    @property
    def total(self) -> int:
        """Rows of both kinds."""
        return self.events + self.webhooks


def expiry(days: int) -> datetime:
    """What was received before this is `days` days old."""
    return timezone.now() - timedelta(days=days)


def expired(before: datetime) -> Removed:
    """How many there are to remove."""
    events, webhooks = _ended(before)
    return Removed(events.count(), webhooks.count())


def remove(before: datetime) -> Removed:
    """Remove one batch of each kind, in one transaction per kind; returns how many; none when there is no more.

    May be repeated.  What was put back to work meanwhile stays.

    Args:
        before: what was received before this, and ended, is removed; and refused webhooks older than a day.
    """
    events, webhooks = _ended(before)
    return Removed(_remove_batch(events), _remove_batch(webhooks))


def _ended(before: datetime) -> tuple[QuerySet[Event], QuerySet[Webhook]]:
    ended = Q(state__in=ENDED_WEBHOOKS, received_at__lt=before)
    forged = Q(state=WebhookState.REFUSED, received_at__lt=timezone.now() - REFUSED_KEPT)
    return (
        Event.objects.filter(status__in=ENDED_EVENTS, received_at__lt=before),
        Webhook.objects.filter(ended | forged),
    )


def _remove_batch(ended: QuerySet[Any]) -> int:
    batch = list(ended.order_by().values_list("pk", flat=True)[:BATCH])
    removed, _ = ended.filter(pk__in=batch).delete()
    return removed
