"""emit: put signals on the event bus."""

from collections.abc import Collection, Sequence

from openedx_events.data import EventsMetadata

from pipeline.bus import catalogue, codec, producer
from pipeline.ledgers import claims, outbox
from pipeline.models import Signal


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
    for place, signal in enumerate(claimed):
        try:
            if _publish(signal):
                published.append(signal)
            else:
                outbox.disabled([signal], token)
        except producer.BusUnavailable as error:
            for waiting in claimed[place:]:
                outbox.postpone(waiting, token, str(error))
            break
        except Exception as error:  # noqa: BLE001 - what can't be written as an event would not get better by trying again
            outbox.fail(signal, token, error)
        ended.append(signal)
    outbox.sent(published, token)
    return outbox.following(ended)


def _publish(signal: Signal) -> list[str]:
    event_type = catalogue.event_types()[signal.event_type]
    metadata = EventsMetadata(
        id=signal.uuid,
        event_type=signal.event_type,
        time=signal.created_at,
        minorversion=event_type.signal.minor_version,
    )
    return producer.publish(event_type.signal, codec.event_data_for(event_type.signal, signal.payload), metadata)
