"""emit: put signals on the event bus."""

import logging
from collections.abc import Collection, Sequence

from django.utils import timezone
from openedx_events.data import EventsMetadata

from pipeline import logs, measures
from pipeline.bus import catalogue, codec, producer
from pipeline.bus.unavailable import BusUnavailable, EventRefused
from pipeline.ledgers import claims, outbox
from pipeline.models import Signal

logger = logging.getLogger(__name__)


def emit(ids: Collection[int]) -> list[int]:
    """Publish signals; returns the ids of the next ones about the same badges.  May be repeated.

    Published at least once: a worker killed between the bus and the mark publishes them again, with the same event ids.

    1. Claim those before which no earlier one of the same learner and template waits.  One that may be what kills its
       worker is claimed by itself, after the others.
    2. Publish them to the topics that `EVENT_BUS_PRODUCER_CONFIG` enables.
    3. Mark them sent, or note when to try again.
    """
    ready = outbox.ready(ids)
    suspects = [signal for signal in ready if signal.taken_up >= claims.SUSPECT_FROM]
    following = _emit([signal for signal in ready if signal not in suspects])
    for suspect in suspects:
        following += _emit([suspect])
    return following


def _emit(signals: Sequence[Signal]) -> list[int]:
    if not signals:
        return []
    claimed, token = outbox.claim(signals)
    ended: list[Signal] = []
    published: list[Signal] = []
    unwanted: list[Signal] = []
    for place, signal in enumerate(claimed):
        try:
            topics = _publish(signal)
        except EventRefused as error:
            outbox.postpone(signal, token, str(error))
            continue
        except BusUnavailable as error:
            for waiting in claimed[place:]:
                outbox.postpone(waiting, token, str(error))
            break
        except Exception as error:  # noqa: BLE001 - what can't be written as an event would not get better by trying again
            outbox.fail(signal, token, error)
        else:
            _tell(signal, topics)
            (published if topics else unwanted).append(signal)
        ended.append(signal)
    outbox.sent(published, token)
    outbox.disabled(unwanted, token)
    return outbox.following(ended)


def _tell(signal: Signal, topics: Collection[str]) -> None:
    """What was published, and how long it took from the event on.  A badge does not remember which event took it back."""
    with logs.about(badge=signal.badge_id, signal=signal.pk):
        logger.info("Put on %s topic(s): %s", len(topics), signal.event_type)
    if signal.event_type != outbox.AWARDED:
        return
    measures.TO_CREDLY_SECONDS.add((signal.created_at - signal.badge.earned_at).total_seconds())
    if topics:
        measures.TO_SIGNAL_SECONDS.add((timezone.now() - signal.badge.earned_at).total_seconds())


def _publish(signal: Signal) -> list[str]:
    event_type = catalogue.event_types()[signal.event_type]
    metadata = EventsMetadata(
        id=signal.uuid,
        event_type=signal.event_type,
        time=signal.created_at,
        minorversion=event_type.signal.minor_version,
    )
    return producer.publish(event_type.signal, codec.event_data_for(event_type.signal, signal.payload), metadata)
