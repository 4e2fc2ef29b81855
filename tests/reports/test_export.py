"""The export: all about one learner, nothing about others, no secrets."""

import json

import pytest

from pipeline.ledgers import retirement
from pipeline.models import Organization
from pipeline.reports.export import learner_export
from tests.ledgers.builders import lms_learner, passes, received
from tests.ledgers.people import custom_course_of, exam_of, mina, story, user

pytestmark = pytest.mark.django_db


def test_everything_held_about_the_learner_is_there():
    who = mina()
    badge = story(who)
    export = learner_export(who.id)
    assert export["learner"]["email"] == who.email
    [progress] = export["progress"]
    assert {row["requirement"]: row["fulfilled"] for row in progress["fulfillments"]} == {"demo": True, "by-mail": True}
    [held] = export["badges"]
    assert (held["uuid"], held["standing"]) == (str(badge.uuid), "awarded")
    assert [row["what"] for row in held["history"]] == ["awarded", "issue"]
    [signal] = export["signals"]
    assert signal["payload"]["user"] == user(who)
    assert len(export["events"]) == 4
    assert json.loads(json.dumps(export)) == export


def test_of_others_there_is_no_name_no_address_and_no_key():
    who = mina()
    story(who)
    dana = lms_learner("Dana Moe", username="dana-moe", email="dana@elsewhere.example")
    received(exam_of(who, dana, 11), custom_course_of(who, dana, 12), passes(dana, 13))
    Organization.objects.update(api_key="the-very-secret-key")
    text = json.dumps(learner_export(who.id)).lower()
    for other in ("dana", "elsewhere", "very-secret", "somebody-of-the-staff"):
        assert other not in text
    assert who.email.lower() in text


def test_of_an_event_about_somebody_else_only_the_learners_own_part_is_there():
    who, dana = mina(), lms_learner("Dana Moe")
    event = exam_of(dana, who, 1)
    received(event)
    export = learner_export(who.id)
    assert export["learner"] is None
    [row] = export["events"]
    assert (row["id"], row["payload"]) == (str(event.id), [user(who)])


def test_after_the_retirement_the_export_holds_no_name():
    who = mina()
    story(who)
    retirement.retire(who.id)
    export = learner_export(who.id)
    assert export["learner"]["username"] == f"retired-{who.id}"
    assert len(export["events"]) == 4
    assert "quist" not in json.dumps(export).lower()
