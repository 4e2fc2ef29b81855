"""persist: write events into their learners' progress, and let the badges follow."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.configuration import ruleset
from pipeline.ledgers import badges, inbox, learners, progress
from pipeline.models import Event, EventStatus
from pipeline.models.configuration import BADGE_EVENTS


def persist(events: Sequence[uuid.UUID]) -> list[int]:
    """Persist events; returns the ids of the badges they changed.  May be repeated: an event counts once.

    1. An event that comes alone is counted as taken up: one that killed too many workers goes no further.

    The rest in one transaction, so that a worker killed anywhere leaves the events as they were:

    2. Lock the events; one that is persisted already is left alone.
    3. Match each against the ruleset of now.
    4. Update and lock the learners, write progress, bring the badges in line with it.
    5. Mark the events `processed` (`ignored`, if the configuration changed and nothing matches any more).

    If that raises, each event is tried alone, so that one bad event, or a deadlock, does not hold back its neighbours.

    Raises:
        OperationalError, InterfaceError: the database, not an event, is at fault; the events stay due, and so do the badges
            of those that were persisted before.
    """
    if len(events) == 1:
        return _persist_alone(events[0])
    try:
        with transaction.atomic():
            return _persist(events)
    except Exception:  # noqa: BLE001 - who or what is at fault shows when each is alone
        return [badge for event in events for badge in _persist_alone(event)]


def _persist_alone(event: uuid.UUID) -> list[int]:
    if not inbox.take_up(event):
        return []
    try:
        with transaction.atomic():
            return _persist([event])
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):
            inbox.put_down(event)
        raise
    except Exception as error:  # noqa: BLE001 - whatever an event causes is counted against it, and it is set aside
        inbox.stumble(event, error)
        return []


class Matched(NamedTuple):
    """An event that meets something, the `UserData` of its learner, and what it does to each template."""

    event: Event
    user: Mapping[str, Any]
    matches: list[rules.Match]


def _persist(ids: Sequence[uuid.UUID]) -> list[int]:
    configuration = ruleset.current()
    events = inbox.lock(ids)
    matched = list(_matched(events, configuration))
    changed: dict[int, None] = {}
    for each in _one_of_each_learner(matched):
        changed |= dict.fromkeys(_take_part(each, configuration))
    processed = [each.event for each in matched]
    inbox.finish(processed, EventStatus.PROCESSED)
    inbox.finish(set(events).difference(processed), EventStatus.IGNORED)
    return list(changed)


def _matched(events: Iterable[Event], configuration: ruleset.Compiled) -> Iterator[Matched]:
    for event in events:
        matches = configuration.ruleset.match(event.type, event.payload, event.time)
        user = catalogue.user_of(event.type, event.payload)
        if matches and user is not None:
            yield Matched(event, user, matches)


def _one_of_each_learner(matched: Iterable[Matched]) -> Iterator[list[Matched]]:
    """The events in rounds: each learner's one after the other, different learners' together."""
    rounds: list[dict[int, Matched]] = []
    for each in matched:
        learner = each.user["id"]
        place = next((taken for taken in rounds if learner not in taken), None)
        if place is None:
            rounds.append(place := {})
        place[learner] = each
    return (list(taken.values()) for taken in rounds)


def _seen(matched: Matched) -> learners.Seen:
    """What an event says of its learner.  Our own signals say what we knew: every event of the LMS is news to that."""
    event = matched.event
    time = learners.LONG_AGO if event.type in BADGE_EVENTS else event.time
    return learners.Seen(matched.user, time, event.id)


def _take_part(matched: Sequence[Matched], configuration: ruleset.Compiled) -> list[int]:
    known = learners.update([_seen(each) for each in matched])
    occasions = [progress.Occasion(known[each.user["id"]], each.event, each.matches) for each in matched]
    return badges.follow(
        [
            badges.Change(
                learner=occasion.learner,
                event=occasion.event.id,
                templates=[match.template for match in occasion.matches],
                decisions=recorded.decisions,
                news=recorded.changed,
                resets=recorded.reset,
                values={match.template.id: match.value for match in occasion.matches},
            )
            for occasion, recorded in zip(occasions, progress.record(occasions, configuration), strict=True)
        ]
    )
