"""persist: an event changes progress once, in one transaction, at a cost that does not grow with what it does not meet."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import OperationalError

from pipeline import stages
from pipeline.ledgers import badges, inbox, progress
from pipeline.models import Badge, Fulfillment, Learner, Progress, RequirementRule
from tests.ledgers.builders import (
    DEMO,
    MATH,
    at,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    received,
    requirement,
    stored,
    template,
)

pytestmark = pytest.mark.django_db


def fulfillments() -> dict[str, tuple[bool, object]]:
    return {row.requirement.slug: (row.fulfilled, row.event) for row in Fulfillment.objects.all()}


def test_an_event_is_processed_and_shows_in_progress():
    course_template()
    event = passes(lms_learner(), 1)
    deliver(event)
    assert stored(event).status == "processed"
    assert fulfillments() == {"demo": (True, event.id)}
    row = Fulfillment.objects.get()
    assert row.time == at(1)
    assert row.matched == {
        "requirement": "demo",
        "rules": [["is_passing", "eq", "true"], ["course.course_key", "eq", DEMO]],
    }


def test_a_penalty_resets_only_its_requirements():
    row = course_template()
    requirement(row, "math", ("is_passing", "eq", "true"), course(MATH))
    who = lms_learner()
    events = [passes(who, 1), passes(who, 2, MATH), fails(who, 3)]
    deliver(*events)
    assert fulfillments() == {"demo": (False, events[2].id), "math": (True, events[1].id)}
    assert Fulfillment.objects.get(fulfilled=False).matched["penalty"] == "demo-failed"


def test_a_requirement_added_later_takes_no_badge_away_until_a_penalty_resets_something():
    row, who = course_template(), lms_learner()
    [badge] = deliver(passes(who, 1))
    requirement(row, "math", ("is_passing", "eq", "true"), course(MATH))
    assert deliver(passes(who, 2)) == []
    assert Badge.objects.get(pk=badge).standing == "awarded"
    assert deliver(fails(who, 3)) == [badge]
    assert Badge.objects.get(pk=badge).standing == "revoked"


def test_a_penalty_that_is_outdated_takes_no_badge_away_either():
    row, who = course_template(), lms_learner()
    [badge] = deliver(passes(who, 5))
    requirement(row, "math", ("is_passing", "eq", "true"), course(MATH))
    assert deliver(fails(who, 3)) == []
    assert Badge.objects.get(pk=badge).standing == "awarded"


def test_persisting_again_changes_nothing():
    course_template()
    event = passes(lms_learner(), 1)
    [badge] = deliver(event)
    assert stages.persist([event.id]) == []
    assert (Badge.objects.count(), Fulfillment.objects.count()) == (1, 1)
    assert Badge.objects.get(pk=badge).history.count() == 1


def test_an_unknown_event_is_nothing_to_do():
    assert stages.persist([uuid4()]) == []


def test_an_event_that_the_configuration_of_now_does_not_match_is_ignored():
    row = course_template()
    event = passes(lms_learner(), 1)
    [matching] = stages.evaluate(received(event))
    row.active = False
    row.save()
    assert stages.persist([matching]) == []
    assert stored(event).status == "ignored"
    assert not Learner.objects.exists()


def test_the_newest_event_says_who_the_learner_is_in_whatever_order_they_come():
    course_template()
    number = lms_learner().id
    old = lms_learner("Dana Moe", id=number, username="dana", email="old@learners.example")
    new = lms_learner("Dana Lind", id=number, username="dana.lind", email="new@learners.example")
    for first, second in ((passes(old, 1), passes(new, 2)), (passes(new, 4), passes(old, 3))):
        deliver(first, second)
        row = Learner.objects.get()
        assert (row.name, row.username, row.email) == ("Dana Lind", "dana.lind", "new@learners.example")


def test_a_huge_name_is_kept_whole():
    course_template()
    deliver(passes(lms_learner("D" * 3000), 1))
    assert Learner.objects.get().name == "D" * 3000


def test_a_long_address_is_never_shortened_to_another_ones():
    course_template()
    address = f"dana@{'a' * 300}.example"
    deliver(passes(replace(lms_learner(), email=address), 1))
    assert Learner.objects.get().email == address


def test_a_failure_on_the_way_leaves_nothing_half_written_and_is_counted_against_the_event(monkeypatch):
    course_template()
    event = passes(lms_learner(), 1)
    [matching] = stages.evaluate(received(event))
    with monkeypatch.context() as broken:
        broken.setattr(badges, "_open", lambda *_: 1 // 0)
        assert stages.persist([matching]) == []
    assert (stored(event).status, stored(event).attempts) == ("received", 1)
    assert "ZeroDivisionError" in stored(event).error
    assert not Learner.objects.exists()
    assert not Progress.objects.exists()
    assert len(stages.persist([matching])) == 1
    assert (stored(event).status, stored(event).error) == ("processed", "")


def test_a_database_that_is_away_is_not_the_events_fault(monkeypatch):
    course_template()
    event = passes(lms_learner(), 1)
    [matching] = stages.evaluate(received(event))
    taken_up = stored(event).attempts

    def away(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(progress, "record", away)
    with pytest.raises(OperationalError):
        stages.persist([matching])
    assert (stored(event).status, stored(event).attempts) == ("received", taken_up)
    assert stored(event).due_at is not None


def test_an_event_that_a_requirement_without_rules_matches_counts():
    requirement(template(), "any")
    assert len(deliver(fails(lms_learner(), 1))) == 1


def test_a_rule_that_changed_since_is_kept_as_it_stood():
    row = course_template()
    deliver(passes(lms_learner(), 1))
    rule = RequirementRule.objects.get(requirement__template=row, data_path="course.course_key")
    rule.value = MATH
    rule.save()
    assert Fulfillment.objects.get().matched["rules"][1][2] == DEMO


def test_events_that_are_persisted_together_are_as_one_after_the_other():
    course_template(reaward=True)
    who, other = lms_learner(), lms_learner()
    events = [passes(who, 1), fails(who, 2), passes(other, 3), passes(who, 4)]
    assert stages.persist(stages.evaluate(received(*events))) != []
    assert {stored(event).status for event in events} == {"processed"}
    of_who, of_other = (Badge.objects.get(learner__lms_user_id=each.id) for each in (who, other))
    assert [entry.what for entry in of_who.history.all()] == ["awarded", "revoked", "awarded"]
    assert [entry.what for entry in of_other.history.all()] == ["awarded"]
    assert (of_who.standing, of_who.earned_at) == ("awarded", at(4))


def test_an_event_that_can_not_be_written_does_not_hold_back_those_beside_it(monkeypatch):
    course_template()
    events = [passes(lms_learner(), minute) for minute in range(3)]
    follow = badges.follow

    def refused(changes):
        if any(change.event == events[1].id for change in changes):
            raise ValueError("refused")
        return follow(changes)

    monkeypatch.setattr(badges, "follow", refused)
    assert len(stages.persist(stages.evaluate(received(*events)))) == 2
    assert [stored(event).status for event in events] == ["processed", "received", "processed"]
    assert [stored(event).attempts for event in events] == [1, 1, 1]
    assert "ValueError" in stored(events[1]).error


def test_a_failure_of_the_database_that_strikes_a_batch_is_tried_again_one_by_one(monkeypatch):
    course_template()
    events = [passes(lms_learner(), minute) for minute in range(3)]
    record = progress.record

    def deadlock(occasions, configuration):
        if len(occasions) > 1:
            raise OperationalError("deadlock detected")
        return record(occasions, configuration)

    monkeypatch.setattr(progress, "record", deadlock)
    assert len(stages.persist(stages.evaluate(received(*events)))) == 3
    assert {stored(event).status for event in events} == {"processed"}


def test_an_event_that_nothing_matches_any_more_is_ignored_beside_those_that_count():
    row = course_template()
    requirement(row, "math", ("is_passing", "eq", "true"), course(MATH))
    events = [passes(lms_learner(), 1), passes(lms_learner(), 2, MATH)]
    matching = stages.evaluate(received(*events))
    row.requirements.get(slug="math").delete()
    assert len(stages.persist(matching)) == 1
    assert [stored(event).status for event in events] == ["processed", "ignored"]


def test_events_that_wait_are_due_until_they_are_persisted():
    course_template()
    ids = received(passes(lms_learner(), 1))
    stages.evaluate(ids)
    assert [event.id for event in inbox.waiting(ids)] == ids
