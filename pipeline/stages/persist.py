"""persist: write an event into its learner's progress, and let the badges follow."""

import uuid
from contextlib import suppress

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from pipeline.bus import catalogue
from pipeline.configuration import ruleset
from pipeline.ledgers import badges, inbox, learners, progress
from pipeline.models import Event, EventStatus


def persist(event_id: uuid.UUID) -> list[int]:
    """Persist one event; returns the ids of the badges it changed.  May be repeated: an event counts once.

    1. Count it as taken up: one that killed too many workers goes no further.

    The rest in one transaction, so that a worker killed anywhere leaves the event as it was:

    2. Lock the event; one that is persisted already is left alone.
    3. Match it against the ruleset of now.
    4. Update and lock the learner, write progress, bring the badges in line with it.
    5. Mark the event `processed` (`ignored`, if the configuration changed and nothing matches any more).

    Raises:
        OperationalError, InterfaceError: the database, not the event, is at fault; the event stays due.
    """
    if not inbox.take_up(event_id):
        return []
    try:
        with transaction.atomic():
            event = inbox.lock(event_id)
            return [] if event is None else _persist(event)
    except (OperationalError, InterfaceError):
        with suppress(DatabaseError, InterfaceError):
            inbox.put_down(event_id)
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
    recorded = progress.record(learner, event, matches, configuration)
    templates = [match.template for match in matches]
    changed = badges.follow(
        learner, event.id, templates, recorded.decisions, news=recorded.changed, resets=recorded.reset
    )
    inbox.finish([event.id], EventStatus.PROCESSED)
    return changed
