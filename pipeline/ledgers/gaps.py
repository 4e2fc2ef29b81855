"""Gaps: messages that the event bus removed before a consumer group of ours had read them."""

import logging
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from pipeline.bus import gap as bus
from pipeline.bus.positions import entry_key
from pipeline.models import Event, Gap

logger = logging.getLogger(__name__)

ONE_LOSS = timedelta(minutes=1)
"""What several consumers find within so long is one loss of the bus's memory."""

_BATCH = 500
"""Events that are stored together have one time; their positions tell which was the last."""


def record(found: bus.Gap, topic: str) -> None:
    """Write a gap down, and say so in the log, once.  May be repeated: several consumers may find the same.

    Raises:
        django.db.DatabaseError: it is not written; whoever found it must not read on.
    """
    _, is_new = Gap.objects.get_or_create(
        topic=topic,
        group=found.group,
        after=found.since,
        before=found.until,
        defaults={
            "messages": found.count,
            "lost_from": found.first_time or _time_of(topic, found.since),
            "lost_until": found.last_time,
        },
    )
    if is_new:
        logger.error("Events were lost on the bus: %s", found)


def _time_of(topic: str, position: str) -> datetime | None:
    """The time of the event that was stored from there, for a bus that can't tell when the next was added."""
    return Event.objects.filter(topic=topic, position=position).values_list("time", flat=True).first()


def forgotten(topic: str, group: str) -> None:
    """The bus no longer knows a group of ours: it lost its memory, and with it whatever the group had not read.

    Writes that down as a gap of unknown size, from the last message that we have until now, and says so in the log, once.  May
    be repeated.

    Raises:
        django.db.DatabaseError: it is not written; whoever found it must not read on.
    """
    now = timezone.now()
    if Gap.objects.filter(topic=topic, group=group, before="", found_at__gt=now - ONE_LOSS).exists():
        return
    newest = Event.objects.filter(topic=topic).order_by("-received_at").values_list("position", "received_at")[:_BATCH]
    if not newest:
        return
    after, since = max(newest, key=lambda row: (row[1], entry_key(row[0].encode())))
    _, is_new = Gap.objects.get_or_create(
        topic=topic, group=group, after=after, before="", defaults={"lost_from": since, "lost_until": now}
    )
    if is_new:
        logger.error(
            "The event bus forgot group %s of topic %s: what it held since %s and had not handed over is lost",
            group,
            topic,
            since,
        )


def unsettled() -> QuerySet[Gap]:
    """The gaps that nobody has dealt with yet, the newest first."""
    return Gap.objects.filter(settled_at=None)


def settle(gap: Gap) -> bool:
    """An operator says that the gap is dealt with.  Says whether it was open until now.  May be repeated."""
    return bool(Gap.objects.filter(pk=gap.pk, settled_at=None).update(settled_at=timezone.now()))
