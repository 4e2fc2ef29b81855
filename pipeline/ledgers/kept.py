"""Kept events: those of the inbox that ended well, read learner by learner to be run once more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from pipeline import rules
from pipeline.models import Event, EventStatus

ENDED_WELL = (EventStatus.PROCESSED, EventStatus.IGNORED)
"""What runs again: of those that failed nothing has changed, and those that wait come under the rules of now anyway."""


class Span(NamedTuple):
    """Which events: of the time `since` or later, by the event itself, and stored at `until` or before."""

    since: datetime | None
    until: datetime


class Kept(NamedTuple):
    """As much of an event's row as it takes to choose it."""

    lms_user_id: int
    time: datetime
    id: UUID
    type: str
    status: str


class Met(NamedTuple):
    """A kept event that meets something, and what it does."""

    event: Kept
    payload: dict[str, Any]
    matches: list[rules.Match]


def count(span: Span, after: int = 0) -> int:
    """How many events about learners beyond that LMS user id were stored, whatever became of them."""
    return _stored(span, after).count()


def of_learners(span: Span, after: int, most: int) -> list[Kept]:
    """The events of the next learners beyond that LMS user id, each learner's whole and oldest first; [] at the end.

    About `most`; more, if one learner alone has more.
    """
    events = _stored(span, after).order_by("lms_user_id", "time", "id").values_list(*Kept._fields)
    found = [Kept(*row) for row in events[:most]]
    if len(found) < most:
        return found
    last = found[-1].lms_user_id
    whole = [event for event in found if event.lms_user_id != last]
    return whole or [Kept(*row) for row in events.filter(lms_user_id=last)]


def meeting(ruleset: rules.Ruleset, events: Sequence[Kept]) -> list[Met]:
    """Those of the events that meet the rules, in the same order."""
    candidates = [event for event in events if event.status in ENDED_WELL and event.type in ruleset.event_types]
    found = Event.objects.filter(pk__in=[event.id for event in candidates], raw=None)
    payloads = dict(found.values_list("id", "payload"))
    return [
        Met(event, payloads[event.id], matches)
        for event in candidates
        if event.id in payloads and (matches := ruleset.match(event.type, payloads[event.id], event.time))
    ]


def _stored(span: Span, after: int) -> QuerySet[Event]:
    events = Event.objects.filter(lms_user_id__gt=after, received_at__lte=span.until)
    return events if span.since is None else events.filter(time__gte=span.since)
