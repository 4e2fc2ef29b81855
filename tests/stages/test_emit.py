"""emit: signals reach a real event bus once marked, in order, and wait while the bus is away."""

import sys

import pytest
from django.utils import timezone
from openedx_events.event_bus import get_producer

from pipeline import stages
from pipeline.bus.codec import decode
from pipeline.embedded.redis import free_port
from pipeline.ledgers import claims, outbox, retirement
from pipeline.models import Signal
from tests.ledgers.builders import TOPIC, badge, course_template, make_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def signal() -> Signal:
    earned = course_template(description="For whoever passes the course.")
    return Signal.objects.get(pk__in=outbox.write(badge(template=earned), outbox.AWARDED))


def published(bus) -> list:
    return [decode(*entry, stream=TOPIC) for entry in bus.xrange(TOPIC)]


def reread(signal: Signal) -> Signal:
    return Signal.objects.get(pk=signal.pk)


def configure(settings, enabled) -> None:
    settings.EVENT_BUS_PRODUCER_CONFIG = {
        outbox.AWARDED: {TOPIC: {"event_key_field": "badge.uuid", "enabled": enabled}}
    }


def away(settings) -> None:
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    get_producer.cache_clear()


def back(settings, url: str) -> None:
    settings.EVENT_BUS_REDIS_CONNECTION_URL = url
    get_producer.cache_clear()


def test_a_signal_is_published_as_it_was_written(bus, signal):
    stages.emit([signal.pk])
    [message] = published(bus)
    assert (message.id, message.type, message.time) == (signal.uuid, outbox.AWARDED, signal.created_at)
    assert (message.payload, message.source) == (signal.payload, "openedx/credentials/web")
    now = reread(signal)
    assert (now.state, now.error, now.due_at) == ("sent", "", None)
    assert now.sent_at <= timezone.now()


def test_a_signal_that_is_marked_sent_is_not_published_again(bus, signal):
    for _ in range(3):
        assert stages.emit([signal.pk]) == []
        make_due(signal)
    assert len(published(bus)) == 1


def test_a_signal_whose_mark_was_lost_is_published_again_under_the_same_id(bus, signal):
    """A worker killed between the bus and the mark: consumers drop the repetition by its id."""
    stages.emit([signal.pk])
    Signal.objects.update(state="pending")
    make_due(signal)
    stages.emit([signal.pk])
    assert [message.id for message in published(bus)] == [signal.uuid, signal.uuid]
    assert reread(signal).state == "sent"


def test_an_unknown_signal_is_nothing_to_do(bus):
    assert stages.emit([10**9]) == []


def test_signals_of_a_badge_are_published_in_order_each_naming_the_next(bus, signal):
    [second] = outbox.write(signal.badge, outbox.REVOKED)
    assert stages.emit([second]) == []
    assert published(bus) == []
    assert stages.emit([signal.pk]) == [second]
    assert stages.emit([second]) == []
    assert [message.type for message in published(bus)] == [outbox.AWARDED, outbox.REVOKED]


def test_while_the_bus_is_away_a_signal_waits_and_is_sent_later_with_its_id(bus, redis_server, settings, signal):
    away(settings)
    for attempt in (1, 2, 3):
        assert stages.emit([signal.pk]) == []
        now = reread(signal)
        assert (now.state, now.attempts) == ("pending", attempt)
        assert now.due_at > timezone.now()
        assert now.error
        make_due(signal)
    back(settings, redis_server.url)
    stages.emit([signal.pk])
    assert [message.id for message in published(bus)] == [signal.uuid]
    assert (reread(signal).state, reread(signal).error) == ("sent", "")


def test_a_producer_that_cannot_be_loaded_does_not_swallow_a_signal(bus, settings, signal):
    settings.EVENT_BUS_PRODUCER = "no.such.producer"
    with pytest.warns(UserWarning, match="EVENT_BUS_PRODUCER"):
        stages.emit([signal.pk])
    assert reread(signal).state == "pending"


@pytest.mark.parametrize("enabled", [False, lambda settings: False], ids=["false", "function"])
def test_a_signal_that_the_configuration_sends_nowhere_is_disabled(bus, settings, signal, enabled):
    configure(settings, enabled)
    stages.emit([signal.pk])
    assert published(bus) == []
    assert (reread(signal).state, reread(signal).due_at) == ("disabled", None)


def test_a_signal_of_a_type_without_configuration_is_disabled(bus, settings, signal):
    settings.EVENT_BUS_PRODUCER_CONFIG = {}
    stages.emit([signal.pk])
    assert reread(signal).state == "disabled"


def test_a_function_of_the_settings_may_enable_a_signal(bus, settings, signal):
    configure(settings, lambda given: given.BADGES_CONFIG is not None)
    stages.emit([signal.pk])
    assert len(published(bus)) == 1


def test_a_signal_that_is_no_event_fails_and_does_not_hold_back_the_next(bus, signal):
    [second] = outbox.write(signal.badge, outbox.REVOKED)
    Signal.objects.filter(pk=signal.pk).update(payload={"uuid": "nonsense"})
    stages.emit([signal.pk])
    assert reread(signal).state == "failed"
    assert reread(signal).error
    stages.emit([second])
    assert len(published(bus)) == 1


def several(number: int) -> list[Signal]:
    """Signals about badges of different learners."""
    earned = course_template()
    return [Signal.objects.get(pk__in=outbox.write(badge(template=earned), outbox.AWARDED)) for _ in range(number)]


def states(signals: list[Signal]) -> list[str]:
    return [reread(signal).state for signal in signals]


def test_signals_that_are_emitted_together_are_all_published(bus):
    signals = several(5)
    assert stages.emit([signal.pk for signal in signals]) == []
    assert [message.id for message in published(bus)] == [signal.uuid for signal in signals]
    assert states(signals) == ["sent"] * 5


def test_a_signal_that_is_no_event_does_not_hold_back_those_beside_it(bus):
    signals = several(3)
    Signal.objects.filter(pk=signals[1].pk).update(payload={"uuid": "nonsense"})
    stages.emit([signal.pk for signal in signals])
    assert states(signals) == ["sent", "failed", "sent"]
    assert [message.id for message in published(bus)] == [signals[0].uuid, signals[2].uuid]


def test_when_the_bus_goes_away_midway_what_it_took_is_sent_and_the_rest_waits(
    bus, redis_server, settings, monkeypatch
):
    signals = several(4)
    emit = sys.modules["pipeline.stages.emit"]
    publish = emit._publish

    def publish_two(signal):
        if signal.pk == signals[2].pk:
            away(settings)
        return publish(signal)

    with monkeypatch.context() as midway:
        midway.setattr(emit, "_publish", publish_two)
        assert stages.emit([signal.pk for signal in signals]) == []
    assert states(signals) == ["sent", "sent", "pending", "pending"]
    assert all(reread(signal).due_at > timezone.now() for signal in signals[2:])
    back(settings, redis_server.url)
    make_due(*signals[2:])
    stages.emit([signal.pk for signal in signals])
    assert [message.id for message in published(bus)] == [signal.uuid for signal in signals]


def test_of_two_signals_of_a_badge_the_second_waits_for_the_next_call(bus, signal):
    [second] = outbox.write(signal.badge, outbox.REVOKED)
    assert stages.emit([signal.pk, second]) == [second]
    assert states([signal, Signal.objects.get(pk=second)]) == ["sent", "pending"]


def test_a_signal_that_may_be_what_kills_its_worker_is_claimed_after_the_others_and_by_itself(bus, monkeypatch):
    signals = several(3)
    Signal.objects.filter(pk=signals[0].pk).update(taken_up=claims.SUSPECT_FROM)
    together = []
    claim = outbox.claim

    def noted(signals):
        together.append([signal.pk for signal in signals])
        return claim(signals)

    monkeypatch.setattr(outbox, "claim", noted)
    stages.emit([signal.pk for signal in signals])
    assert together == [[signals[1].pk, signals[2].pk], [signals[0].pk]]
    assert states(signals) == ["sent"] * 3


def test_what_somebody_else_has_claimed_is_left_to_them(bus):
    signals = several(2)
    ready = outbox.ready([signal.pk for signal in signals])
    outbox.claim(ready[:1])
    mine, _ = outbox.claim(ready)
    assert mine == [signals[1]]


def test_a_learner_who_is_retired_before_the_claim_is_not_named(bus, signal):
    ready = outbox.ready([signal.pk])
    retirement.retire(signal.badge.learner.lms_user_id)
    [claimed], _ = outbox.claim(ready)
    assert claimed.payload["user"]["pii"]["email"] == ""
