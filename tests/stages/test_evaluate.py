"""evaluate: processed, ignored or failed, each event by itself, at a cost that does not grow with the templates."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.configuration import ruleset
from pipeline.ledgers import inbox
from pipeline.lms.events import LmsEvent, passing_event
from pipeline.models import ConfigurationVersion, Event, RequirementRule, Template
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    TOPIC,
    course,
    course_template,
    fails,
    lms_learner,
    message,
    passes,
    penalty,
    received,
    requirement,
    stored,
    template,
)

pytestmark = pytest.mark.django_db

DANA = lms_learner()
ENROLLED = "org.openedx.learning.course.enrollment.created.v1"


def without_user(minute: float = 1) -> LmsEvent:
    event = passes(DANA, minute)
    del event.payload["user"]
    return event


def outcome(event: LmsEvent) -> tuple[list, str]:
    """What the stage hands on and how the event stands then."""
    return stages.evaluate(received(event)), stored(event).status


def test_an_event_that_meets_a_requirement_is_handed_on_and_stays_received():
    course_template()
    event = passes(DANA, 1)
    assert outcome(event) == ([event.id], "received")


def test_an_event_that_meets_a_penalty_alone_is_handed_on():
    row = template()
    demo = requirement(row, "demo", PASSED, course(DEMO))
    penalty(row, "any-failed", [demo], FAILED)
    event = fails(DANA, 1, MATH)
    assert outcome(event) == ([event.id], "received")


def test_an_event_that_no_rule_matches_is_ignored():
    course_template()
    assert outcome(passes(DANA, 1, MATH)) == ([], "ignored")
    assert stored_due() == 0


def stored_due() -> int:
    return Event.objects.filter(due_at__isnull=False).count()


def test_without_an_active_template_every_event_is_ignored():
    course_template(active=False)
    template()
    assert outcome(passes(DANA, 1)) == ([], "ignored")


def test_an_event_of_a_type_that_no_template_uses_is_ignored():
    course_template()
    event = passes(DANA, 1)
    inbox.store([message(event, type=ENROLLED)], TOPIC)
    assert stages.evaluate([event.id]) == []
    assert stored(event).status == "ignored"


def test_a_type_that_badges_do_not_subscribe_to_is_ignored_although_a_requirement_names_it():
    row = template()
    requirement(row, "enrolled", type=ENROLLED)
    event = passes(DANA, 1)
    inbox.store([message(event, type=ENROLLED)], TOPIC)
    assert stages.evaluate([event.id]) == []
    assert stored(event).status == "ignored"


@pytest.mark.parametrize(
    "type_name", ["org.openedx.content_authoring.course.catalog_info.changed.v1", "com.example.v1"]
)
def test_an_event_of_a_type_without_a_learner_is_refused_with_a_reason(type_name):
    course_template()
    event = without_user()
    inbox.store([message(event, type=type_name)], TOPIC)
    assert stages.evaluate([event.id]) == []
    assert stored(event).status == "failed"
    assert stored(event).error == f"Events of type {type_name} carry no UserData, so there is no learner to find."


def test_an_event_without_its_user_is_refused_with_the_place_where_it_should_be():
    course_template()
    event = without_user()
    assert outcome(event) == ([], "failed")
    assert "UserData" in stored(event).error
    assert "course_passing_status.user" in stored(event).error


@pytest.mark.parametrize(
    "user",
    [
        None,
        "dana",
        {},
        {"id": "7", "is_active": True, "pii": {"username": "dana", "email": "d@e.example", "name": ""}},
        {"id": 0, "is_active": True, "pii": {"username": "dana", "email": "d@e.example", "name": ""}},
        {"id": 7, "is_active": True, "pii": {"username": "", "email": "d@e.example", "name": ""}},
        {"id": 7, "is_active": True, "pii": None},
    ],
)
def test_an_event_whose_user_is_malformed_is_refused_without_personal_data(user):
    course_template()
    event = passes(DANA, 1)
    event.payload["user"] = user
    assert outcome(event) == ([], "failed")
    assert "dana" not in stored(event).error


def test_an_event_from_the_future_is_refused_and_counts_once_its_time_has_come():
    """The newest event decides, so one from next year would decide for good."""
    course_template()
    event = passing_event(DANA, DEMO, True, timezone.now() + timedelta(days=365))
    assert outcome(event) == ([], "failed")
    assert "future" in stored(event).error
    Event.objects.filter(pk=event.id).update(time=timezone.now())
    assert stages.evaluate(inbox.redrive([event.id])) == [event.id]


def test_a_clock_that_is_a_little_fast_is_forgiven():
    course_template()
    event = passing_event(DANA, DEMO, True, timezone.now() + timedelta(minutes=4))
    assert outcome(event) == ([event.id], "received")


def test_one_bad_event_does_not_hold_back_the_others():
    course_template()
    good, bad, other = passes(DANA, 1), without_user(2), passes(DANA, 3, MATH)
    assert stages.evaluate(received(good, bad, other)) == [good.id]
    assert [stored(event).status for event in (good, bad, other)] == ["received", "failed", "ignored"]


def test_an_event_that_makes_the_rules_raise_is_counted_against_it_alone(monkeypatch):
    course_template()
    good, poison = passes(DANA, 1), passes(DANA, 2)
    ids = received(good, poison)
    match = type(ruleset.current().ruleset).match

    def poisoned(self, event_type, payload, time):
        if payload == {"poison": True}:
            raise RecursionError("too deep")
        return match(self, event_type, payload, time)

    user = stored(poison).payload["user"]
    monkeypatch.setattr("pipeline.bus.catalogue.user_of", lambda name, payload: user)
    monkeypatch.setattr("pipeline.rules.Ruleset.match", poisoned)
    Event.objects.filter(pk=poison.id).update(payload={"poison": True})
    assert stages.evaluate(ids) == [good.id]
    assert (stored(poison).status, stored(poison).attempts) == ("received", 0)
    for _ in range(4):
        assert stages.evaluate([poison.id]) == []
    assert (stored(poison).status, stored(poison).error) == ("failed", "RecursionError: too deep")
    assert "pipeline/stages/evaluate.py" in stored(poison).traceback


def test_an_event_that_waits_for_persist_for_hours_is_no_poison():
    """Housekeeping has it evaluated again and again meanwhile."""
    course_template()
    event = passes(DANA, 1)
    received(event)
    for _ in range(20):
        assert stages.evaluate([event.id]) == [event.id]
    assert (stored(event).status, stored(event).attempts) == ("received", 0)


def test_finished_and_unknown_events_are_left_alone():
    course_template()
    event = passes(DANA, 1)
    received(event)
    Event.objects.update(status="processed")
    assert stages.evaluate([event.id, uuid4()]) == []
    assert stored(event).status == "processed"


def test_a_repeated_evaluation_hands_on_the_same():
    course_template()
    ids = received(passes(DANA, 1))
    assert stages.evaluate(ids) == stages.evaluate(ids) == ids


def test_a_changed_configuration_counts_from_the_next_batch():
    row = course_template()
    [first] = received(passes(DANA, 1))
    assert stages.evaluate([first]) == [first]
    rule = RequirementRule.objects.get(requirement__template=row, data_path="course.course_key")
    rule.value = MATH
    rule.save()
    assert stages.evaluate([first]) == []
    second = passes(DANA, 2, MATH)
    assert outcome(second) == ([second.id], "received")


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.delete(),
        lambda row: Template.objects.get(pk=row.pk).requirements.get().delete(),
        lambda row: setattr(row, "active", False) or row.save(),
        lambda row: row.requirements.get().rules.first().delete(),
        lambda row: row.penalties.get().requirements.clear(),
        lambda row: row.penalties.get().rules.first().save(),
    ],
)
def test_every_change_of_the_configuration_renews_its_version(change):
    row = course_template()
    before = ConfigurationVersion.current()
    change(row)
    assert ConfigurationVersion.current() != before


def test_a_broken_template_takes_no_part_and_does_not_stop_the_others(caplog):
    course_template()
    broken = course_template()
    RequirementRule.objects.filter(requirement__template=broken).update(operator="lt")
    ConfigurationVersion.renew()
    event = passes(DANA, 1)
    assert outcome(event) == ([event.id], "received")
    assert str(broken.uuid) in caplog.text
