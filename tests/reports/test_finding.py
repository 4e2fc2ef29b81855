"""Finding a learner by username, e-mail or LMS id, and what is said of those who are not known."""

from uuid import uuid4

import pytest

from pipeline.models import Event
from pipeline.reports import finding
from tests.ledgers.builders import MATH, START, TOPIC, course_template, deliver, learner, lms_learner, passes

pytestmark = pytest.mark.django_db

NAMED = {"id": 7, "is_active": True, "pii": {"username": "ada", "email": "Ada@example.org", "name": "Ada"}}


def test_a_learner_is_found_by_username_email_in_any_case_and_lms_id():
    dana = learner(username="dana", email="Dana@Example.org", lms_user_id=70)
    learner()
    assert finding.by_username("dana") == dana
    assert finding.by_email("dana@example.ORG") == dana
    assert finding.by_lms_user_id(70) == dana


def test_of_two_who_used_one_username_the_newer_is_found():
    course_template()
    former, present = lms_learner(username="dana"), lms_learner(username="dana")
    deliver(passes(present, 2), passes(former, 1))
    assert finding.by_username("dana").lms_user_id == present.id


def test_who_is_in_no_event_is_unknown():
    with pytest.raises(finding.UnknownLearner, match=r"No learner 'nobody'.*and none is stored"):
        finding.by_username("nobody")
    with pytest.raises(finding.UnknownLearner, match=r"No learner with LMS user id 7.*and none is stored"):
        finding.by_lms_user_id(7)


def test_who_is_only_in_events_that_met_no_rule_is_unknown_and_the_events_are_counted():
    course_template()
    who = lms_learner(username="dana", email="dana@example.org")
    deliver(passes(who, 1, MATH), passes(who, 2, MATH))
    told = r"2 stored events are about them \(2 ignored\), but none has met"
    with pytest.raises(finding.UnknownLearner, match=told):
        finding.by_username("dana")
    with pytest.raises(finding.UnknownLearner, match=told):
        finding.by_email("DANA@example.org")
    with pytest.raises(finding.UnknownLearner, match=told):
        finding.by_lms_user_id(who.id)


@pytest.mark.parametrize("payload", [{"user": NAMED}, {"student_user": NAMED}, NAMED])
def test_a_learner_is_looked_for_wherever_a_payload_holds_them(payload):
    Event.objects.create(id=uuid4(), type="any", time=START, topic=TOPIC, position="1-0", payload=payload)
    with pytest.raises(finding.UnknownLearner, match="1 stored event is about them"):
        finding.by_username("ada")


def test_the_message_about_an_unknown_email_does_not_repeat_it():
    with pytest.raises(finding.UnknownLearner) as raised:
        finding.by_email("dana@example.org")
    assert "dana" not in str(raised.value)
