"""persist: write an event into its learner's progress, and let the badges follow."""

import uuid

from django.db import InterfaceError, OperationalError, transaction

from pipeline.bus import catalogue
from pipeline.configuration import ruleset
from pipeline.ledgers import badges, inbox, learners, progress
from pipeline.models import Event, EventStatus


def persist(event_id: uuid.UUID) -> list[int]:
    """Persist one event; returns the ids of the badges it changed.  May be repeated: an event counts once.

    All in one transaction, so that a worker killed anywhere leaves the event as it was:

    1. Lock the event; one that is persisted already is left alone.
    2. Match it against the ruleset of now.
    3. Update and lock the learner, write progress, bring the badges in line with it.
    4. Mark the event `processed` (`ignored`, if the configuration changed and nothing matches any more).

    Raises:
        OperationalError, InterfaceError: the database, not the event, is at fault; the event stays due.
    """
    try:
        with transaction.atomic():
            event = inbox.lock(event_id)
            return [] if event is None else _persist(event)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever an event causes is counted against it, and it is set aside
        inbox.stumble(event_id, error)
        return []


def _persist(event: Event) -> list[int]:
    configuration = ruleset.current()
    matches = configuration.ruleset.match(event.type, event.payload)
    user = catalogue.user_of(event.type, event.payload)
    if not matches or user is None:
        inbox.finish([event.id], EventStatus.IGNORED)
        return []
    learner = learners.update(user, event.time, event.id)
    decisions = progress.record(learner, event, matches, configuration)
    changed = badges.follow(learner, event.id, [match.template for match in matches], decisions)
    inbox.finish([event.id], EventStatus.PROCESSED)
    return changed
