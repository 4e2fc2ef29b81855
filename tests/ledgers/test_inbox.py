"""The inbox: nothing is lost, nothing counts twice, and one bad message hurts only itself."""

import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from pipeline.bus.codec import UndecodableMessage
from pipeline.ledgers import claims, inbox
from pipeline.models import Event, EventStatus
from tests.ledgers.builders import TOPIC, fails, lms_learner, message, passes, received, stored

pytestmark = pytest.mark.django_db

DANA = lms_learner()


def overdue(*ids):
    Event.objects.filter(pk__in=ids).update(due_at=timezone.now())


def test_a_batch_is_stored_and_its_ids_are_returned():
    events = [passes(DANA, minute) for minute in range(3)]
    new = inbox.store([message(event) for event in events], TOPIC)
    assert sorted(new) == sorted(event.id for event in events)
    first = stored(events[0])
    assert (first.type, first.time, first.payload) == (events[0].type, events[0].time, events[0].payload)
    assert (first.status, first.topic, first.position, first.source) == ("received", TOPIC, "1-0", "openedx/lms/web")
    assert first.due_at > timezone.now()


def test_a_repeat_falls_away_whether_in_the_same_batch_or_a_later_one():
    event, other = passes(DANA, 1), passes(DANA, 2)
    assert inbox.store([message(event), message(event)], TOPIC) == [event.id]
    assert inbox.store([message(event), message(other)], TOPIC) == [other.id]
    assert Event.objects.count() == 2
    assert stored(event).note == ""


def test_an_event_of_a_type_that_nobody_subscribed_to_is_ignored_from_the_start():
    event, ours = passes(DANA, 1), passes(DANA, 2)
    messages = [message(event), message(ours, type="org.openedx.learning.badge.awarded.v1")]
    assert inbox.store(messages, TOPIC) == [event.id]
    assert (stored(ours).status, stored(ours).due_at) == ("ignored", None)
    assert inbox.replay([ours.id]) == [ours.id]


def test_times_are_written_alike_whatever_else_is_in_the_batch():
    """Some databases hold times as texts and compare them so."""
    ours, event, alone = passes(DANA, 1), passes(DANA, 2), passes(DANA, 3)
    inbox.store([message(ours, type="org.openedx.learning.badge.awarded.v1"), message(event)], TOPIC)
    inbox.store([message(alone)], TOPIC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT due_at FROM pipeline_event WHERE due_at IS NOT NULL")
        shapes = {re.sub(r"\d", "0", str(due_at)) for (due_at,) in cursor.fetchall()}
    assert len(shapes) == 1


def test_a_repeat_of_a_finished_event_does_not_wake_it():
    [event] = received(passes(DANA, 1))
    inbox.finish(inbox.waiting([event]), EventStatus.PROCESSED)
    assert inbox.store([message(passes(DANA, 1, id=event))], TOPIC) == []
    assert Event.objects.get(pk=event).status == EventStatus.PROCESSED


def test_of_two_messages_with_one_id_the_first_wins_and_the_other_is_noted():
    first, other = passes(DANA, 1), fails(DANA, 1)
    inbox.store([message(first)], TOPIC)
    assert inbox.store([message(other, position="7-1", id=first.id)], TOPIC) == []
    assert stored(first).payload["is_passing"] is True
    assert "7-1" in stored(first).note


def test_of_two_messages_with_one_id_in_one_batch_the_first_wins_and_the_other_is_noted():
    first, other = passes(DANA, 1), fails(DANA, 1)
    inbox.store([message(first), message(other, position="7-1", id=first.id)], TOPIC)
    assert stored(first).payload["is_passing"] is True
    assert "7-1" in stored(first).note


def test_a_message_that_cannot_be_read_is_kept_as_failed_with_the_reason():
    unreadable = UndecodableMessage(
        id=uuid4(), type="what.it.says", position="3-0", raw=b"\x00\xff bytes", reason="The header 'id' is missing."
    )
    event = passes(DANA, 1)
    assert inbox.store([unreadable, message(event)], TOPIC) == [event.id]
    assert inbox.store([unreadable], TOPIC) == []
    row = Event.objects.get(pk=unreadable.id)
    assert (row.status, bytes(row.raw), row.error) == ("failed", unreadable.raw, unreadable.reason)
    assert row.due_at is None


def test_a_message_that_the_database_refuses_is_kept_as_failed_and_does_not_hold_back_its_neighbours():
    """JSON has no NaN.  The codec refuses it before; this is for whatever the codec does not know."""
    bad, before, after = passes(DANA, 2), passes(DANA, 1), passes(DANA, 3)
    refused = message(bad, payload={"user": {}, "grade": float("nan")})
    new = inbox.store([message(before), refused, message(after)], TOPIC)
    assert sorted(new) == sorted([before.id, after.id])
    assert (stored(bad).status, stored(bad).payload) == ("failed", {})
    assert "database refuses" in stored(bad).error


def test_every_message_of_a_batch_is_in_the_inbox_whatever_the_database_thinks_of_it():
    """What is not stored must not be acknowledged on the bus."""
    bad, good = passes(DANA, 2), passes(DANA, 1)
    inbox.store([message(bad, payload={"grade": float("inf")}), message(good)], TOPIC)
    assert {event.pk for event in Event.objects.all()} == {bad.id, good.id}


def nested(depth: int) -> dict:
    return {"deeper": nested(depth - 1)} if depth else {}


ODD = {
    "a long source": {"source": "s" * 300},
    "deep JSON": {"payload": nested(150)},
    "half a character": {"payload": {"name": "\ud800"}},
    "a null character": {"payload": {"name": "\x00"}},
    "an id of no known version": {"id": UUID("9af49740-96f5-b0ee-5e25-02420ae59635")},
    "all ones": {"id": UUID(int=2**128 - 1)},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_stored_as_it_came_or_refused_and_never_bent(odd):
    """Databases differ in what they take."""
    strange = replace(message(passes(DANA, 2)), **ODD[odd])
    before, after = passes(DANA, 1), passes(DANA, 3)
    new = inbox.store([message(before), strange, message(after)], TOPIC)
    assert {before.id, after.id} <= set(new)
    row = Event.objects.get(pk=strange.id)
    assert (row.status, row.source, row.payload) == ("received", strange.source, strange.payload) or (
        row.status == "failed" and "database refuses" in row.error
    )
    assert inbox.store([strange], TOPIC) == []


@pytest.mark.parametrize("odd", [name for name in ODD if "id" in ODD[name]])
def test_no_database_refuses_an_id(odd):
    strange = replace(message(passes(DANA, 2)), **ODD[odd])
    assert inbox.store([strange], TOPIC) == [strange.id]


def test_only_overdue_events_are_named_and_each_then_rests():
    late, fresh = received(passes(DANA, 1), passes(DANA, 2))
    assert inbox.due(10) == []
    overdue(late)
    assert inbox.due(10) == [late]
    assert inbox.due(10) == []
    assert Event.objects.get(pk=fresh).due_at > timezone.now()


def test_the_oldest_overdue_events_are_named_first_up_to_the_limit():
    first, second, third = received(passes(DANA, 1), passes(DANA, 2), passes(DANA, 3))
    for number, event in enumerate((second, third, first)):
        Event.objects.filter(pk=event).update(due_at=timezone.now() - timedelta(minutes=9 - number))
    assert inbox.due(2) == [second, third]


def test_the_longer_an_event_waits_the_longer_it_rests_up_to_an_hour():
    young, old, ancient = received(passes(DANA, 1), passes(DANA, 2), passes(DANA, 3))
    now = timezone.now()
    ages = {young: timedelta(0), old: timedelta(minutes=10), ancient: timedelta(days=3)}
    for event, age in ages.items():
        Event.objects.filter(pk=event).update(received_at=now - age, due_at=now)
    inbox.due(10)
    rests = [Event.objects.get(pk=event).due_at - now for event in (young, old, ancient)]
    assert rests[0] < timedelta(minutes=1) < timedelta(minutes=9) < rests[1] < timedelta(minutes=11)
    assert timedelta(minutes=59) < rests[2] < timedelta(minutes=61)


def raises(event, error: Exception | None = None) -> Event:
    """Work on the event begins, and raises."""
    assert inbox.take_up(event)
    inbox.stumble(event, error or RuntimeError("boom"))
    return Event.objects.get(pk=event)


def test_an_event_that_fails_four_times_is_set_aside_with_the_reason():
    [event] = received(passes(DANA, 1))
    for attempt in range(1, 4):
        row = raises(event)
        assert (row.status, row.attempts) == ("received", attempt)
        assert row.due_at is not None
    row = raises(event)
    assert (row.status, row.attempts, row.error, row.due_at) == ("failed", 4, "RuntimeError: boom", None)


def test_an_event_that_raises_comes_again_later_each_time():
    [event] = received(passes(DANA, 1))
    rests = [raises(event).due_at - timezone.now() for _ in range(3)]
    assert timedelta(seconds=30) < rests[0] < rests[1] < rests[2] < timedelta(minutes=10)


def test_a_failure_is_kept_with_where_in_our_code_it_struck_and_no_value():
    [event] = received(passes(DANA, 1))
    try:
        inbox.due(DANA.email)
    except TypeError as error:
        row = raises(event, error)
    assert "pipeline/ledgers/inbox.py:" in row.traceback
    assert row.traceback.endswith(" due")
    assert DANA.email not in row.traceback
    inbox.finish(inbox.waiting([event]), EventStatus.PROCESSED)
    assert Event.objects.get(pk=event).traceback == ""


def test_the_log_of_a_failure_does_not_quote_the_error(caplog):
    [event] = received(passes(DANA, 1))
    inbox.stumble(event, ValueError(DANA.email))
    assert str(event) in caplog.text
    assert DANA.email not in caplog.text


def test_what_has_ended_stays_as_it_ended():
    [event] = received(passes(DANA, 1))
    inbox.refuse(event, "first")
    inbox.refuse(event, "second")
    inbox.finish(Event.objects.all(), EventStatus.PROCESSED)
    inbox.stumble(event, RuntimeError("late"))
    row = Event.objects.get(pk=event)
    assert (row.status, row.error, row.attempts) == ("failed", "first", 0)


def test_a_failed_event_can_be_driven_again():
    [event] = received(passes(DANA, 1))
    for _ in range(4):
        raises(event)
    assert inbox.waiting([event]) == []
    assert inbox.redrive([event]) == [event]
    assert inbox.redrive([event]) == []
    row = Event.objects.get(pk=event)
    assert (row.status, row.attempts) == ("received", 0)
    assert [waiting.id for waiting in inbox.waiting([event])] == [event]


def test_only_failed_events_that_could_be_read_can_be_driven_again():
    unreadable = UndecodableMessage(id=uuid4(), type="", position="3-0", raw=b"bytes", reason="Unreadable.")
    inbox.store([unreadable], TOPIC)
    done, ignored = received(passes(DANA, 1), passes(DANA, 2))
    inbox.finish(inbox.waiting([done]), EventStatus.PROCESSED)
    inbox.finish(inbox.waiting([ignored]), EventStatus.IGNORED)
    assert inbox.redrive([unreadable.id, done, ignored]) == []


def test_an_event_that_is_taken_up_again_and_again_and_never_finished_is_set_aside():
    """As when it kills its worker each time: nobody is left to count what was raised."""
    [event] = received(passes(lms_learner(), 1))
    for _ in range(claims.MOST_TAKEN_UP):
        assert inbox.take_up(event)
        Event.objects.update(claimed_until=timezone.now())
    assert not inbox.take_up(event)
    assert Event.objects.get().status == "failed"
    assert "never finished" in Event.objects.get().error
    assert inbox.redrive([event]) == [event]
    assert inbox.take_up(event)


def test_workers_that_are_alive_do_not_count_against_an_event_and_it_is_worked_on_by_one():
    [event] = received(passes(lms_learner(), 1))
    taken = [inbox.take_up(event) for _ in range(2 * claims.MOST_TAKEN_UP)]
    assert taken.count(True) == 1
    assert (Event.objects.get().status, Event.objects.get().attempts) == ("received", 1)
    inbox.put_down(event)
    assert inbox.take_up(event)


def test_an_event_that_may_have_killed_its_worker_comes_again_soon_however_old_it_is():
    [event] = received(passes(lms_learner(), 1))
    Event.objects.update(received_at=timezone.now() - timedelta(days=3))
    inbox.take_up(event)
    assert Event.objects.get().due_at - timezone.now() <= inbox.EVALUATED_WITHIN


def test_an_event_that_was_put_down_waits_as_one_that_was_never_taken_up():
    [event] = received(passes(lms_learner(), 1))
    Event.objects.update(received_at=timezone.now() - timedelta(minutes=10))
    for _ in range(2 * claims.MOST_TAKEN_UP):
        assert inbox.take_up(event)
        inbox.put_down(event)
    row = Event.objects.get()
    assert (row.status, row.attempts) == ("received", 0)
    assert row.due_at - timezone.now() > timedelta(minutes=9)
