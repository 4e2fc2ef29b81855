"""The inbox: every message of the bus, and what became of it."""

import logging
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import DataError, IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from pipeline import measures
from pipeline.bus import catalogue
from pipeline.bus.codec import DecodedMessage, UndecodableMessage
from pipeline.configuration import subscriptions
from pipeline.ledgers import bulk, retirement
from pipeline.ledgers.claims import MOST_TAKEN_UP
from pipeline.ledgers.pseudonyms import as_stored
from pipeline.ledgers.tracebacks import own_frames
from pipeline.models import Event, EventStatus
from pipeline.models.configuration import BADGE_EVENTS
from pipeline.mysql.limits import StatementTooLong

logger = logging.getLogger(__name__)

EVALUATED_WITHIN = timedelta(seconds=30)
"""An event that is still `received` after this was lost on its way and is sent to evaluation again.  As long as a worker's
claim on one, and as a task may run."""

LONGEST_WAIT = timedelta(hours=1)

OTHER_TYPE = "other"
"""Counts as the type of events that openedx-events does not know: whoever writes to the bus can invent any number of them."""

Message = DecodedMessage | UndecodableMessage


def store(messages: Sequence[Message], topic: str) -> list[uuid.UUID]:
    """Store messages; one whose id is known already falls away.  Returns the ids to evaluate.  May be repeated.

    1. Insert all of them in one transaction, leaving known ids as they are.
    2. If the database refuses a value, insert one by one, and store what it refuses as `failed`.
    3. Pseudonymise those that name a retired learner.

    Raises:
        django.db.OperationalError: the database can't be reached; what is stored falls away when it comes again.
    """
    new = _insert_all(messages, topic)
    retirement.withhold([message for message in messages if isinstance(message, DecodedMessage)])
    return new


def _insert_all(messages: Sequence[Message], topic: str) -> list[uuid.UUID]:
    try:
        return _insert(messages, topic)
    except (DataError, IntegrityError, ValueError) as error:
        logger.warning("A message of %s can't be stored as it is (%s)", topic, type(error).__name__)
    new: list[uuid.UUID] = []
    for message in messages:
        try:
            new += _insert([message], topic)
        except (DataError, IntegrityError, ValueError) as error:
            _insert([_unstorable(message, error)], topic)
    return new


def _unstorable(message: Message, error: Exception) -> UndecodableMessage:
    """The message without the data that the database refuses; those are still on the bus at `position`."""
    is_too_large = isinstance(error, StatementTooLong)
    reason = str(error) if is_too_large else f"The database refuses its data ({type(error).__name__})."
    return UndecodableMessage(id=message.id, type=message.type, position=message.position, raw=b"", reason=reason)


def _insert(messages: Sequence[Message], topic: str) -> list[uuid.UUID]:
    """Insert messages in one transaction and return the ids of the new ones that are to be evaluated.

    An event of a type that nobody subscribed to is `ignored` from the start, as our own signals are that come back.

    Raises:
        ValueError: a payload holds what JSON does not have.
        django.db.IntegrityError: a row is not there afterwards: some databases leave out in silence what they refuse.
    """
    received_at = timezone.now()
    wanted = _wanted_types(messages)
    with transaction.atomic():
        if _insert_unknown(messages, topic, received_at, wanted) == len(messages):
            return _to_evaluate((message.id, message.type, _initial_status(message, wanted)) for message in messages)
        stored = Event.objects.in_bulk([message.id for message in messages])
        if any(message.id not in stored for message in messages):
            raise IntegrityError("the database left out a row")
        _note_other_payloads(messages, stored, topic)
    new = (row for row in stored.values() if row.received_at == received_at)
    return _to_evaluate((row.id, row.type, EventStatus(row.status)) for row in new)


def _to_evaluate(new: Iterable[tuple[uuid.UUID, str, EventStatus]]) -> list[uuid.UUID]:
    """Those of the new events that wait; the others count as ended from the start."""
    ids: list[uuid.UUID] = []
    ended: Counter[tuple[str, EventStatus]] = Counter()
    for event, event_type, status in new:
        if status == EventStatus.RECEIVED:
            ids.append(event)
        else:
            ended[event_type, status] += 1
    for (event_type, status), number in ended.items():
        _count(event_type, status, number)
    return ids


def _insert_unknown(messages: Sequence[Message], topic: str, received_at: datetime, wanted: Collection[str]) -> int:
    """Insert them, leaving known ids as they are; says how many were new."""
    evaluated_by = received_at + EVALUATED_WITHIN
    decoded: list[bulk.Row] = []
    undecodable: list[bulk.Row] = []
    for message in messages:
        status = _initial_status(message, wanted)
        if isinstance(message, DecodedMessage):
            decoded.append(
                (
                    message.id,
                    message.type,
                    message.time,
                    message.source,
                    topic,
                    message.position,
                    _learner_id(message),
                    message.payload,
                    status.value,
                    received_at,
                    evaluated_by if status == EventStatus.RECEIVED else None,
                )
            )
        else:
            undecodable.append(
                (
                    message.id,
                    message.type,
                    received_at,
                    "",
                    topic,
                    message.position,
                    {},
                    message.raw,
                    status.value,
                    message.reason,
                    received_at,
                )
            )
    inserted = bulk.insert_unknown(Event, _DECODED, decoded) if decoded else 0
    return inserted + (bulk.insert_unknown(Event, _UNDECODABLE, undecodable) if undecodable else 0)


_DECODED = (
    "id",
    "type",
    "time",
    "source",
    "topic",
    "position",
    "lms_user_id",
    "payload",
    "status",
    "received_at",
    "due_at",
)
_UNDECODABLE = ("id", "type", "time", "source", "topic", "position", "payload", "raw", "status", "error", "received_at")


def _wanted_types(messages: Iterable[Message]) -> frozenset[str]:
    """The event types that somebody subscribed to; our own signals only while an active template asks for them."""
    wanted = frozenset(catalogue.badge_event_types())
    own = {message.type for message in messages}.intersection(wanted, BADGE_EVENTS)
    return wanted - (own - subscriptions.asked_for()) if own else wanted


def _initial_status(message: Message, wanted: Collection[str]) -> EventStatus:
    if isinstance(message, UndecodableMessage):
        return EventStatus.FAILED
    is_learners = catalogue.event_type(message.type) is not None  # others are refused when they are evaluated
    ignored = is_learners and message.type not in wanted
    return EventStatus.IGNORED if ignored else EventStatus.RECEIVED


def _learner_id(message: DecodedMessage) -> int | None:
    user = catalogue.user_of(message.type, message.payload)
    return user["id"] if user else None


def _note_other_payloads(messages: Sequence[Message], stored: Mapping[uuid.UUID, Event], topic: str) -> None:
    """The first message of an id wins; that another came with other content is worth a note."""
    for message in messages:
        if isinstance(message, UndecodableMessage):
            continue
        first = stored[message.id]
        payload = as_stored(message.payload, first.payload)
        if (first.type, first.time, first.payload) == (message.type, message.time, payload):
            continue
        logger.warning("Event %s came again with other content; the first is kept", message.id)
        Event.objects.filter(pk=message.id).update(
            note=f"Came again with other content at {topic} {message.position}; the first one is kept."
        )


class Waiting(NamedTuple):
    """An event that is to be evaluated: as much of its row as that needs."""

    id: uuid.UUID
    type: str
    time: datetime
    payload: dict[str, Any]


def waiting(ids: Collection[uuid.UUID]) -> list[Waiting]:
    """Those of these events that are still to be evaluated."""
    received = Event.objects.filter(pk__in=ids, status=EventStatus.RECEIVED)
    return [Waiting(*row) for row in received.values_list(*Waiting._fields)]


def take_up(event: uuid.UUID) -> bool:
    """Claim an event and count that, in a transaction of its own: should the worker die, this remains.

    Says whether to go on: not while another worker is at it, which may be alive; and one that was taken up too often
    without coming to an end is `failed`.  An event that only waits, however long, is not taken up.
    """
    now = timezone.now()
    free = Event.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lte=now), pk=event, status=EventStatus.RECEIVED
    )
    soon = now + EVALUATED_WITHIN
    taken = free.filter(attempts__lt=MOST_TAKEN_UP)
    if taken.update(attempts=F("attempts") + 1, claimed_until=soon, due_at=soon):
        return True
    reason = f"Taken up {MOST_TAKEN_UP} times and never finished: its worker died of it, or was killed, each time."
    if _fail(free.filter(attempts__gte=MOST_TAKEN_UP), error=reason):
        logger.error("Event %s was taken up %s times and never finished; set aside as failed", event, MOST_TAKEN_UP)
    return False


def put_down(event: uuid.UUID) -> None:
    """The work on an event that was taken up is over, and it goes on or waits through no fault of its own: uncount it."""
    received = Event.objects.filter(pk=event, status=EventStatus.RECEIVED, attempts__gt=0)
    received_at = received.values_list("received_at", flat=True).first()
    if received_at is not None:
        now = timezone.now()
        received.update(attempts=F("attempts") - 1, claimed_until=None, due_at=now + _rest(received_at, now))


def lock(ids: Collection[uuid.UUID]) -> list[Event]:
    """Those of these events that are still to be persisted, oldest first, locked until the end of the transaction."""
    received = Event.objects.select_for_update().filter(pk__in=ids, status=EventStatus.RECEIVED)
    return list(received.order_by("time", "pk").only(*Waiting._fields))


def finish(events: Collection[Waiting | Event], status: EventStatus) -> None:
    """These events are `processed` or `ignored`.  Events that ended otherwise are left alone.  May be repeated."""
    by_type: dict[str, list[uuid.UUID]] = {}
    for event in events:
        by_type.setdefault(event.type, []).append(event.id)
    for event_type, ids in by_type.items():
        ended = Event.objects.filter(pk__in=ids, status=EventStatus.RECEIVED).update(
            status=status, due_at=None, error="", traceback=""
        )
        _count(event_type, status, ended)


def _count(event_type: str, status: EventStatus, number: int) -> None:
    """So many events have ended, once that is committed."""
    known = event_type in catalogue.event_types()
    if number:
        transaction.on_commit(
            partial(measures.EVENTS_ENDED.add, number, event_type if known else OTHER_TYPE, status.value)
        )


def _fail(event: QuerySet[Event], **fields: str) -> bool:
    """The event, if it is still as this asks for it, is `failed`.  Says whether it was."""
    event_type = event.values_list("type", flat=True).first()
    if event_type is None or not event.update(status=EventStatus.FAILED, claimed_until=None, due_at=None, **fields):
        return False
    _count(event_type, EventStatus.FAILED, 1)
    return True


def refuse(event: uuid.UUID, reason: str) -> None:
    """This event is `failed` for a reason that trying again would not change.  May be repeated."""
    _fail(Event.objects.filter(pk=event, status=EventStatus.RECEIVED), error=reason, traceback="")


def stumble(event: uuid.UUID, error: Exception) -> None:
    """Working on this event raised: try again later, by itself; one that was taken up `MOST_TAKEN_UP` times is `failed`.

    The message of the error goes to the database only: it may quote the event's data, which logs must not hold.
    """
    received = Event.objects.filter(pk=event, status=EventStatus.RECEIVED)
    attempts = received.values_list("attempts", flat=True).first()
    if attempts is None:
        return
    name = type(error).__name__
    failure = {"error": f"{name}: {error}", "traceback": own_frames(error)}
    given_up = attempts >= MOST_TAKEN_UP
    if given_up:
        _fail(received, **failure)
    else:
        received.update(claimed_until=None, due_at=timezone.now() + EVALUATED_WITHIN * 2**attempts, **failure)
    logger.error("Event %s: %s (%s)", event, name, "set aside as failed" if given_up else "to be tried again")


def due(limit: int) -> list[uuid.UUID]:
    """Events that nobody evaluated in time, at most `limit`; each is due again after a growing while."""
    now = timezone.now()
    rows = list(
        Event.objects.filter(status=EventStatus.RECEIVED, due_at__lte=now)
        .order_by("due_at")
        .values_list("id", "received_at")[:limit]
    )
    for event, received_at in rows:
        Event.objects.filter(pk=event, status=EventStatus.RECEIVED).update(due_at=now + _rest(received_at, now))
    return [event for event, _ in rows]


def _rest(received_at: datetime, now: datetime) -> timedelta:
    """How long housekeeping leaves an event alone that waits: as long as it has waited, so a backlog is not nudged to death."""
    return min(max(now - received_at, EVALUATED_WITHIN), LONGEST_WAIT)


def nudged_at(received_at: datetime, due_at: datetime, now: datetime) -> datetime:
    """When an event that waits was last sent to evaluation, as far as its row tells; never before it was.

    What was stored, put back or taken up is due soon after; what housekeeping sent, after its rest.
    """
    if due_at - EVALUATED_WITHIN <= now:
        return due_at - EVALUATED_WITHIN
    return max(received_at + (due_at - received_at) / 2, due_at - LONGEST_WAIT)


def redrive(ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Put `failed` events that could be read back to `received`.  Returns those to evaluate.  May be repeated."""
    ready = list(Event.objects.filter(pk__in=ids, status=EventStatus.FAILED, raw=None).values_list("id", flat=True))
    Event.objects.filter(pk__in=ready, status=EventStatus.FAILED).update(
        status=EventStatus.RECEIVED, attempts=0, claimed_until=None, due_at=timezone.now() + EVALUATED_WITHIN
    )
    return ready


def replay(ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Put events that ended and could be read back to `received`.  Returns those to evaluate.  May be repeated.

    Safe, since every effect happens once: what an event decided already stays decided.
    """
    ended = Event.objects.filter(pk__in=ids, raw=None).exclude(status=EventStatus.RECEIVED)
    ready = list(ended.values_list("id", flat=True))
    Event.objects.filter(pk__in=ready).exclude(status=EventStatus.RECEIVED).update(
        status=EventStatus.RECEIVED, attempts=0, claimed_until=None, due_at=timezone.now() + EVALUATED_WITHIN
    )
    return ready
