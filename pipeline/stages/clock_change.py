"""clock_change: the wall clock was set, and what waits for a time of the old one must wait by the new.

Rows say by the wall clock when they are due and until when they are claimed, since machines and restarts share no other.
Set back, it would hold up for an hour what was to wait for a second; set forward, it would end claims whose calls are out.
"""

import logging
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from pipeline.clock import LEAST_SECONDS, ClockWatch, ahead
from pipeline.configuration import gate
from pipeline.ledgers import claims, holdings, inbox
from pipeline.models import Badge, BadgeHistory, Event, EventStatus, Organization, Signal, Webhook

logger = logging.getLogger(__name__)

_watch = ClockWatch()


def notice() -> None:
    """If the clock was set since the last time, have all that waits wait anew.  May be repeated.

    At the first time nobody remembers how it went; that rows were written in the future tells that it was set back.

    1. Put the rows right.
    2. Note that they are: should the worker die before, the next one does the same.
    """
    seen = ahead()
    moved, now = _watch.moved(seen), timezone.now()
    if moved:
        logger.warning("The clock was set by %+.0f s: claims and waits begin anew.", moved.total_seconds())
        _start_over(now, since=min(now, now - moved))
    elif _watch.is_new and _written_in_the_future(now):
        logger.warning("The clock was set back before the start: claims and waits begin anew.")
        _start_over(now, since=now)
    if moved or _watch.is_new:
        _watch.noted(seen)


def _written_in_the_future(now: datetime) -> bool:
    """Whether the newest rows are; those are the ones that may wait for a time to come."""
    soon = now + timedelta(seconds=LEAST_SECONDS)
    newest = BadgeHistory.objects.order_by("-pk").values_list("at", flat=True).first()
    return Event.objects.filter(received_at__gt=soon).exists() or (newest is not None and newest > soon)


def _start_over(now: datetime, since: datetime) -> None:
    """What was claimed, or was to wait, until some time after `since`: it is claimed for as long again, or is due now.

    But a badge whose call got no answer is looked up only when that call has surely had its effect.
    """
    for model in (Badge, Signal, Webhook):
        rows = model._default_manager.filter(due_at__isnull=False)
        rows.filter(claimed_until__gt=since).update(claimed_until=now + claims.CLAIM_LASTS)
        rows.filter(nudged_at__gt=since).update(nudged_at=None)
    answer_lost = Q(credly_state__in=holdings.CALL_OUT, claim=None)
    Badge.objects.filter(answer_lost, due_at__gt=since).update(due_at=now + holdings.SURELY_EFFECTIVE)
    ahead = max(now, since)
    for rows in (Badge.objects.exclude(answer_lost), Signal.objects.all(), Webhook.objects.all()):
        rows.filter(due_at__gt=ahead).update(due_at=now)
    received = Event.objects.filter(status=EventStatus.RECEIVED)
    received.filter(claimed_until__gt=since).update(claimed_until=now + inbox.EVALUATED_WITHIN)
    received.filter(due_at__gt=ahead).update(due_at=now)
    Organization.objects.filter(call_again_at__gt=since).update(call_again_at=now + gate.FIRST_PROBE_WAIT)
