"""Backfills, turn by turn."""

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.bus.codec import UndecodableMessage, encode_raw
from pipeline.ledgers import backfills, inbox
from pipeline.models import Backfill, Badge, BadgeHistory, Event
from pipeline.stages.backfill import CantRun, rules_of
from tests.backfill.turning import begun, held, ignored, run_through, statuses, take_turns
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    TOPIC,
    at,
    badge,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    organization,
    passes,
    penalty,
    received,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db

STAGE = import_module("pipeline.stages.backfill")  # a function of that name stands before it


@pytest.fixture
def small_turns(monkeypatch):
    monkeypatch.setattr(STAGE, "AT_ONCE", 3)


def test_learners_get_the_badge_for_what_they_did_before_the_template_was_there():
    dana, sam = lms_learner(), lms_learner()
    ignored(passes(dana, 1), passes(sam, 1, MATH))
    row = course_template()
    done = run_through(row)
    assert held(row) == {(dana.id, "")}
    assert (done.state, done.looked_at, done.total, done.ran, done.awarded, done.revoked) == ("done", 2, 2, 1, 1, 0)
    assert sorted(statuses()) == ["ignored", "processed"]


def test_a_second_backfill_changes_nothing():
    ignored(passes(lms_learner(), 1))
    row = course_template()
    run_through(row)
    before = list(Badge.objects.values()), BadgeHistory.objects.count()
    done = run_through(row)
    assert (done.state, done.ran, done.awarded) == ("done", 1, 0)
    assert (list(Badge.objects.values()), BadgeHistory.objects.count()) == before


def test_only_events_of_that_time_or_later_count():
    dana, sam = lms_learner(), lms_learner()
    ignored(passes(dana, 1), passes(sam, 2))
    row = course_template()
    assert run_through(row, since=at(2)).looked_at == 1
    assert held(row) == {(sam.id, "")}


def test_what_failed_or_could_not_be_read_is_left_alone():
    [failed] = ignored(passes(lms_learner(), 1))
    Event.objects.filter(pk=failed).update(status="failed")
    inbox.store([UndecodableMessage(id=uuid4(), type="", position="1-1", raw=encode_raw({}), reason="No id.")], TOPIC)
    assert run_through(course_template()).ran == 0
    assert set(statuses()) == {"failed"}


def test_what_waits_in_the_inbox_is_left_to_the_live_way():
    received(passes(lms_learner(), 1))
    assert run_through(course_template()).ran == 0
    assert statuses() == ["received"]


def test_a_learner_s_events_run_together_so_that_credly_hears_only_where_they_lead():
    dana = lms_learner()
    ignored(*(each for minute in range(0, 40, 2) for each in (fails(dana, minute), passes(dana, minute + 1))))
    row = course_template()
    assert row.reaward is False
    run_through(row)
    [only] = Badge.objects.all()
    assert (only.standing, only.cycle) == ("awarded", 1)


def test_turns_take_whole_learners(small_turns):
    row = course_template()
    learners = [lms_learner() for _ in range(4)]
    ignored(*(passes(who, minute) for who in learners for minute in (1, 2)))
    running = begun(row)
    taken_through = []
    for _ in learners:
        take_turns(running, 1)
        taken_through.append(running.position)
    assert taken_through == [who.id for who in learners]


def test_a_learner_with_more_events_than_a_turn_has_is_taken_whole(small_turns):
    row, dana = course_template(), lms_learner()
    ignored(*(passes(dana, minute) for minute in range(8)), passes(lms_learner(), 1))
    running = begun(row)
    take_turns(running, 1)
    assert (running.position, running.looked_at, running.ran) == (dana.id, 8, 8)


def test_stopped_it_goes_on_where_it_was(small_turns):
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(9)))
    running = begun(row)
    take_turns(running, 2)
    assert backfills.stop(running)
    first = held(row)
    assert 0 < len(first) < 9
    again = begun(row)
    assert (again.state, again.looked_at) == ("running", running.looked_at)
    take_turns(again)
    assert (again.state, again.looked_at, again.ran, again.awarded) == ("done", 9, 9, 9)
    assert len(held(row)) == 9


def test_stopped_twice_it_was_running_once():
    running = begun(course_template())
    assert backfills.stop(running)
    assert not backfills.stop(running)


@pytest.mark.parametrize("change", ["another time", "another configuration"])
def test_stopped_it_begins_anew_for_another_question(small_turns, change):
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(9)))
    running = begun(row)
    take_turns(running, 2)
    backfills.stop(running)
    if change == "another configuration":
        course_template(organization())
    again = begun(row, at(0) if change == "another time" else None)
    assert (again.position, again.looked_at, again.total, again.awarded) == (0, 0, None, 0)


def test_rules_that_change_meanwhile_begin_it_anew(small_turns):
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(6)), *(passes(lms_learner(), 1, MATH) for _ in range(2)))
    running = begun(row)
    take_turns(running, 1)
    requirement(row, "math", PASSED, course(MATH), group="A")
    row.requirements.update(group="A")
    row.save()
    take_turns(running)
    assert (running.state, running.looked_at) == ("done", 8)
    assert len(held(row)) == 8


def test_another_template_s_change_lets_it_go_on(small_turns):
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(6)))
    running = begun(row)
    take_turns(running, 1)
    course_template(organization())
    take_turns(running, 1)
    assert running.looked_at == 4


def test_a_template_that_was_deactivated_meanwhile_stops_it():
    row = course_template()
    ignored(passes(lms_learner(), 1))
    running = begun(row)
    row.active = False
    row.save()
    take_turns(running)
    assert running.state == "stopped"
    assert "not active" in running.note
    assert held(row) == set()


def test_one_that_takes_no_part_can_not_be_begun():
    for row in (course_template(active=False), template()):
        with pytest.raises(CantRun):
            rules_of(row)


def test_of_two_messages_for_one_turn_one_counts():
    row = course_template()
    ignored(passes(lms_learner(), 1))
    turn = backfills.turn_of(begun(row))
    assert stages.backfill(turn).then
    assert stages.backfill(turn) == ([], None)
    assert Backfill.objects.get().looked_at == 1


def test_begun_twice_it_is_one():
    row = course_template()
    assert backfills.turn_of(begun(row)) == backfills.turn_of(begun(row))
    with pytest.raises(backfills.RunsOtherwise):
        begun(row, at(1))


def test_begun_again_while_it_waits_it_goes_on_where_it_is_whatever_else_was_configured(small_turns):
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(9)))
    running = begun(row)
    take_turns(running, 2)
    course_template(organization())
    assert backfills.turn_of(begun(row)) == backfills.turn_of(running)
    running.refresh_from_db()
    assert 0 < running.looked_at < 9


def test_live_events_go_first(monkeypatch):
    monkeypatch.setattr(STAGE, "EVENTS_FIRST", 2)
    row = course_template()
    ignored(passes(lms_learner(), 1))
    running = begun(row)
    live = received(*(passes(lms_learner(), 1, MATH) for _ in range(3)))
    take_turns(running)
    assert (running.state, running.ran) == ("running", 0)
    assert "events wait in the inbox" in running.note
    inbox.finish(inbox.waiting(live), inbox.EventStatus.IGNORED)
    take_turns(running)
    assert (running.state, running.ran, running.note) == ("done", 1, "")


def test_a_backlog_for_credly_of_the_same_organization_goes_first(monkeypatch):
    monkeypatch.setattr(STAGE, "BADGES_FIRST", 1)
    row = course_template()
    ignored(passes(lms_learner(), 1))
    elsewhere = course_template(organization())
    badge(template=elsewhere)
    badge(template=elsewhere)
    running = begun(row)
    badge(template=row)
    badge(template=row)
    take_turns(running)
    assert "badges of the organization wait for Credly" in running.note
    Badge.objects.filter(template=row).update(due_at=None)
    take_turns(running)
    assert running.state == "done"


def test_housekeeping_has_a_lost_turn_taken_once_more():
    running = begun(course_template())
    assert stages.due().backfills == [backfills.turn_of(running)]
    assert stages.due().backfills == []
    Backfill.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert stages.due().backfills == [backfills.turn_of(running)]
    take_turns(running)
    assert (running.state, running.due_at) == ("done", None)


def test_a_worker_killed_in_a_turn_leaves_its_events_to_housekeeping(monkeypatch):
    row = course_template()
    [event] = ignored(passes(lms_learner(), 1))
    turn = backfills.turn_of(begun(row))
    monkeypatch.setattr(STAGE, "_run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stages.backfill(turn)
    monkeypatch.undo()
    Event.objects.update(due_at=timezone.now())
    assert stages.due().events == [event]
    take_turns(Backfill.objects.get())
    assert held(row) == set()
    assert stages.persist(stages.evaluate([event]))
    assert len(held(row)) == 1


def test_history_is_as_if_the_events_had_come_now():
    dana = lms_learner()
    [event] = ignored(passes(dana, 1))
    run_through(course_template())
    [entry] = BadgeHistory.objects.all()
    assert (entry.what, entry.event) == ("awarded", event)
    assert Badge.objects.get().earned_at == at(1)


def test_what_counts_several_events_counts_those_of_before():
    row = template()
    five = requirement(row, "three", PASSED)
    five.count, five.distinct = 2, "course.course_key"
    five.save()
    penalty(row, "failed", [five], FAILED)
    dana, sam = lms_learner(), lms_learner()
    ignored(passes(dana, 1), passes(dana, 2, MATH), passes(sam, 1), passes(sam, 2, MATH), fails(sam, 3, MATH))
    run_through(row)
    assert held(row) == {(dana.id, "")}


def test_what_another_template_missed_counts_there_too():
    dana = lms_learner()
    row = course_template()
    other = template(row.organization, uuid=uuid4(), active=False)
    requirement(other, "demo", PASSED, course(DEMO))
    deliver(passes(dana, 1))
    other.active = True
    other.save()
    run_through(row)
    assert held(other) == {(dana.id, "")}


def test_a_turn_costs_the_same_whatever_is_kept(django_assert_max_num_queries):
    """Events that mean nothing to the template cost their look."""
    row = course_template()
    ignored(*(passes(lms_learner(), 1, MATH) for _ in range(50)))
    running = begun(row)
    take_turns(running, 1)
    Backfill.objects.update(position=0, turn=1)
    with django_assert_max_num_queries(12):
        stages.backfill(stages.Turn(running.pk, 1))
