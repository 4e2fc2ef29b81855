"""evaluate: which events meet a requirement or penalty of an active template?"""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone

from pipeline.bus import catalogue
from pipeline.configuration import ruleset
from pipeline.ledgers import inbox
from pipeline.models import Event, EventStatus
from pipeline.models.configuration import BADGE_EVENTS

CLOCK_SKEW = timedelta(minutes=5)
"""How far an event's time may lie ahead of ours.  The newest event decides, so one from next year would decide for good."""


class Refused(Exception):
    """The event can't take part.  The message is for the operator, without personal data."""


def evaluate(events: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Evaluate received events; returns the ids of those to persist.  May be repeated.

    1. An event that comes alone (as housekeeping sends them) is counted as taken up for as long as this lasts; one that
       killed too many workers goes no further.
    2. Read the events that still wait, and the ruleset of now.
    3. Match each by itself: one that raises is counted against that event alone.
    4. Those of a type nobody subscribed to or that match nothing are `ignored`, those that can't take part are `failed`
       with the reason.

    Raises:
        OperationalError, InterfaceError: the database, not an event, is at fault; the events stay due.
    """
    if len(events) != 1:
        return _evaluate(events)
    if not inbox.take_up(events[0]):
        return []
    try:
        matching = _evaluate(events)
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):
            inbox.put_down(events[0])
        raise
    if matching:
        inbox.put_down(events[0])
    return matching


def _evaluate(events: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    configuration = ruleset.current()
    subscribed = catalogue.badge_event_types()
    matching: list[inbox.Waiting] = []
    ignored: list[inbox.Waiting] = []
    for event in inbox.waiting(events):
        try:
            event_type = learner_event_type(event)
            if event_type.name in subscribed:
                check(event, event_type)
                matches = configuration.ruleset.match(event.type, event.payload, event.time)
                (matching if matches else ignored).append(event)
            else:
                ignored.append(event)
        except Refused as refusal:
            inbox.refuse(event.id, str(refusal))
        except Exception as error:  # noqa: BLE001 - one bad event must not hold back its neighbours
            inbox.stumble(event.id, error)
    inbox.finish(ignored, EventStatus.IGNORED)
    return [event.id for event in matching]


def learner_event_type(event: Event | inbox.Waiting) -> catalogue.EventType:
    """The event's type, if events of that type tell about a learner.

    Raises:
        Refused: they do not, and so have no place on the badges topic.
    """
    event_type = catalogue.event_type(event.type)
    if event_type is None:
        raise Refused(f"Events of type {event.type} carry no UserData, so there is no learner to find.")
    return event_type


def check(event: Event | inbox.Waiting, event_type: catalogue.EventType) -> None:
    """Return if the event, of a type that somebody subscribed to, can take part.

    A badge's own signals may lie ahead, after the clock was set back: each is later than the one before it, and takes back, or
    is taken back by, that badge alone.  (A penalty of the LMS's has to be later to strike.)

    Raises:
        Refused: its time lies in the future, or nobody can be found in it.
    """
    if event.time > timezone.now() + CLOCK_SKEW and event.type not in BADGE_EVENTS:
        raise Refused(
            f"Its time, {event.time:%Y-%m-%d %H:%M:%S} UTC, lies in the future: check the clock of the service that sent "
            "it. Redrive the event once that time has come."
        )
    if catalogue.user_of(event.type, event.payload) is None:
        place = ".".join(filter(None, (event_type.payload_name, event_type.user_path)))
        raise Refused(f"Its UserData (at {place}) is missing or malformed, so there is no learner to find.")
