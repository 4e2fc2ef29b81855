"""Retirement: a learner's username, e-mail and name are removed from all that is remembered; the rest stays."""

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers import mentions, quotations
from pipeline.ledgers.pseudonyms import Identity, Payload, people, pseudonym
from pipeline.models import Event, Learner, Signal

CHUNK = 500
"""Rows read at a time."""

NO_EVENT = uuid.UUID(int=0)


@dataclass(frozen=True)
class Retired:
    """How many rows were changed: events, unreadable messages that were emptied, signals, and rows with other texts."""

    events: int
    unreadable: int
    signals: int
    texts: int


def retire(lms_user_id: int, advance: Callable[[int, int], None] = lambda done, total: None) -> Retired:
    """Remove a person's username, e-mail and name everywhere.  May be repeated; after an interruption it goes on.

    Nothing else changes: ids, times, counts, progress, badges and their history stay, and Credly is told nothing.  Every
    row is changed by a statement of its own, so that nobody waits for it.

    1. Mark the learner as retired.  From now on nothing new is kept: see `withhold`, `learners.update`, `outbox.claim`.
    2. Gather by what the person is known.  That is gone in the end, so what needs it comes first:
    3. Texts that quote them, and messages that can't be read and hold their username or e-mail.
    4. The payloads, errors and notes of the events that name them.
    5. The learner.
    6. The signals about their badges.

    Args:
        lms_user_id: a person about whom something is held.
        advance: told how many events are done, and of how many.
    """
    learner = _mark(lms_user_id)
    about = list(mentions.naming(lms_user_id).values_list("pk", flat=True))
    identity = _identity(learner, about)
    texts = quotations.remove(identity, learner)
    unreadable = quotations.empty_unreadable(identity)
    others = mentions.with_address(identity.emails).exclude(lms_user_id=lms_user_id).values_list("pk", flat=True)
    concealed = _conceal_events(identity, [*about, *others], frozenset(about), advance)
    Learner.objects.filter(pk=learner.pk).update(username=identity.pseudonym, email="", name="")
    signals = sum(conceal(signal) for signal in Signal.objects.filter(badge__learner=learner).iterator(CHUNK))
    return Retired(events=concealed, unreadable=unreadable, signals=signals, texts=texts)


def withhold(messages: Sequence[DecodedMessage]) -> None:
    """Pseudonymise those of these stored messages' events that name a retired person.  May be repeated.

    Called after they are committed: so either this sees the mark of a retirement, or that retirement sees the events.

    Args:
        messages: the events as they came, stored now or before.
    """
    anybody = Learner.objects.filter(retired_at__isnull=False)
    if not anybody.exists():
        return
    named = {message.id: {user["id"] for user in people(message.payload)} for message in messages}
    retired = set(anybody.filter(lms_user_id__in=set().union(*named.values())).values_list("lms_user_id", flat=True))
    for event in Event.objects.filter(pk__in=[event for event, ids in named.items() if ids & retired]):
        payload: Payload = event.payload
        for lms_user_id in named[event.id] & retired:
            payload = Identity(lms_user_id).learned([payload]).removed_from_payload(payload)
        Event.objects.filter(pk=event.pk).update(payload=payload)


def conceal(signal: Signal) -> bool:
    """Pseudonymise a signal about a retired learner's badge, and its row.  Says whether that was to be done.

    May be repeated.
    """
    lms_user_id: int = signal.payload["user"]["id"]
    payload = Identity(lms_user_id).removed_from_payload(signal.payload)
    if payload == signal.payload:
        return False
    signal.payload = payload
    return bool(Signal.objects.filter(pk=signal.pk).update(payload=payload))


def _mark(lms_user_id: int) -> Learner:
    """The learner, marked; one who is known from events only gets a row, which remembers the retirement."""
    now = timezone.now()
    unknown = Learner(
        lms_user_id=lms_user_id, username=pseudonym(lms_user_id), as_of=now, as_of_event=NO_EVENT, retired_at=now
    )
    Learner.objects.bulk_create([unknown], ignore_conflicts=True)
    Learner.objects.filter(lms_user_id=lms_user_id, retired_at=None).update(retired_at=now)
    return Learner.objects.get(lms_user_id=lms_user_id)


def _identity(learner: Learner, events: Sequence[uuid.UUID]) -> Identity:
    payloads = (event.payload for event in _read(events))
    signals = Signal.objects.filter(badge__learner=learner).values_list("payload", flat=True)
    known = Identity(learner.lms_user_id, [learner.username], [learner.email], [learner.name])
    return known.learned(payloads).learned(signals)


def _conceal_events(
    identity: Identity, events: Sequence[uuid.UUID], about: Collection[uuid.UUID], advance: Callable[[int, int], None]
) -> int:
    """Remove the person from these events; the errors and notes of those `about` them lose the name as well."""
    changed = 0
    for number, event in enumerate(_read(events), start=1):
        payload = identity.removed_from_payload(event.payload)
        if payload != event.payload:
            changed += Event.objects.filter(pk=event.pk).update(payload=payload)
        removed = identity.removed_from_text if event.pk in about else identity.address_removed_from_text
        quotations.remove_from(event, ("error", "note"), removed)
        advance(number, len(events))
    return changed


def _read(events: Sequence[uuid.UUID]) -> Iterator[Event]:
    for start in range(0, len(events), CHUNK):
        yield from Event.objects.filter(pk__in=events[start : start + CHUNK]).only("payload", "error", "note")
