"""emit: put a signal on the event bus."""

from collections.abc import Collection

from django.utils import timezone
from openedx_events.data import EventsMetadata

from pipeline import measures
from pipeline.bus import catalogue, codec, producer
from pipeline.ledgers import outbox
from pipeline.models import Signal


def emit(signal_id: int) -> list[int]:
    """Publish one signal; returns the id of the next one about the same badge.  May be repeated.

    Published at least once: a worker killed between the bus and the mark publishes it again, with the same event id.

    1. Claim it, if no earlier one of the same learner and template waits.
    2. Publish it to the topics that `EVENT_BUS_PRODUCER_CONFIG` enables.
    3. Mark it sent, or note when to try again.
    """
    claimed = outbox.claim(signal_id)
    if claimed is None:
        return []
    signal, token = claimed
    try:
        topics = _publish(signal)
    except producer.BusUnavailable as error:
        outbox.postpone(signal, token, str(error))
        return []
    except Exception as error:  # noqa: BLE001 - what can't be written as an event would not get better by trying again
        return outbox.fail(signal, token, error)
    _measure(signal, topics)
    return outbox.sent(signal, token, topics)


def _measure(signal: Signal, topics: Collection[str]) -> None:
    """How long it took from the event on.  A badge does not remember which event took it back."""
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
