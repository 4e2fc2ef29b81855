"""badge_status: one learner as plain data, and as text."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pipeline.ledgers import holdings, inbox
from pipeline.models import Badge, BadgeHistory, EventStatus, Learner
from pipeline.reports import learner
from tests.ledgers.builders import (
    DEMO,
    MATH,
    PASSED,
    claimed,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    received,
    requirement,
)
from tests.management.commands import run

pytestmark = pytest.mark.django_db


def learner_status(username: str) -> dict[str, Any]:
    return learner.learner_status(Learner.objects.get(username=username))


def test_progress_names_each_requirement_and_the_event_that_decided_it():
    row = course_template()
    requirement(row, "math", PASSED, course(MATH))
    who, event = lms_learner(), None
    event = passes(who, 1, DEMO)
    deliver(event)
    status = learner_status(who.username)
    [progress] = status["progress"]
    assert (status["username"], status["badges"]) == (who.username, [])
    assert (progress["template"], progress["complete"]) == (str(row.uuid), False)
    assert [(each["id"], each["fulfilled"], each["event"]) for each in progress["requirements"]] == [
        ("demo", True, str(event.id)),
        ("math", False, None),
    ]


def test_a_reset_requirement_names_the_event_that_reset_it():
    course_template()
    who = lms_learner()
    failing = fails(who, 2)
    deliver(passes(who, 1), failing)
    [progress] = learner_status(who.username)["progress"]
    [demo] = progress["requirements"]
    assert (progress["complete"], demo["fulfilled"], demo["event"]) == (False, False, str(failing.id))


def test_a_badge_shows_its_standing_and_what_credly_holds():
    row = course_template()
    who = lms_learner()
    event = passes(who, 1)
    deliver(event)
    badge = Badge.objects.get()
    [shown] = learner_status(who.username)["badges"]
    assert (shown["template"], shown["uuid"], shown["standing"]) == (str(row.uuid), str(badge.uuid), "awarded")
    assert (shown["credly"]["state"], shown["credly"]["id"], shown["credly"]["error"]) == ("none", None, None)
    assert [(entry["what"], entry["event"]) for entry in shown["history"]] == [("awarded", str(event.id))]
    holdings.held(claimed(badge), badge.uuid, holdings.CredlyState.PENDING, "issued")
    [shown] = learner_status(who.username)["badges"]
    assert (shown["credly"]["state"], shown["credly"]["id"]) == ("pending", str(badge.uuid))
    assert [signal["state"] for signal in shown["signals"]] == ["pending"]


def test_a_refused_badge_shows_credlys_words():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    holdings.failed(claimed(Badge.objects.get()), "Credly says: archived")
    [shown] = learner_status(who.username)["badges"]
    assert (shown["credly"]["state"], shown["credly"]["error"]) == ("failed", "Credly says: archived")


def test_the_command_prints_one_json_object_and_nothing_else(capsys):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    call_command("badge_status", "--username", who.username, "--json")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == learner_status(who.username)
    assert printed.err == ""


def test_the_command_tells_people_what_is_fulfilled_and_what_happened(capsys):
    row = course_template()
    requirement(row, "math", PASSED, course(MATH), group="A")
    row.requirements.update(group="A")
    who = lms_learner()
    event = passes(who, 1)
    deliver(event)
    holdings.failed(claimed(Badge.objects.get()), "Credly says: archived")
    call_command("badge_status", "--username", who.username)
    shown = capsys.readouterr().out
    assert f"[x] demo (group A) by event {event.id}" in shown
    assert "[ ] math (group A)" in shown
    assert "awarded, Credly: failed" in shown
    assert "Credly says: archived" in shown


def test_a_reset_is_told_with_the_penalty_the_event_the_rules_and_what_is_needed_again(capsys):
    course_template()
    who = lms_learner()
    failing = fails(who, 2)
    deliver(passes(who, 1), failing)
    call_command("badge_status", "--username", who.username)
    shown = capsys.readouterr().out
    assert f"[ ] demo: taken back by penalty demo-failed by event {failing.id} of " in shown
    assert f"which matched is_passing = false and course.course_key = {DEMO}\n" in shown
    assert f"      needs Course passed or failed: is_passing is true and course.course_key is “{DEMO}”\n" in shown


def test_events_tell_the_values_that_rules_compare_and_why_they_were_ignored(capsys):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    inbox.finish(inbox.waiting(received(passes(who, 2, MATH))), EventStatus.IGNORED)
    [newest, _first] = learner_status(who.username)["events"]
    assert newest["values"] == {"is_passing": "true", "course.course_key": MATH}
    assert newest["remark"] == "no requirement or penalty of an active template matched it"
    call_command("badge_status", "--username", who.username)
    assert f"course.course_key = {MATH}: ignored: no requirement or penalty" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_an_lms_user_id_is_a_whole_number_from_1(number, capsys):
    ran = run(capsys, "badge_status", f"--lms-user-id={number}")
    assert (ran.status, ran.out) == (2, "")
    assert "it must be a whole number from 1" in ran.err


def test_the_explanation_goes_with_the_facts():
    row = course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    [explanation] = learner_status(who.username)["explanation"]
    assert (explanation["template"], explanation["verdict"]) == (str(row.uuid), "waiting")
    assert explanation["text"].startswith('Waiting: "Intro Course" was awarded')


def test_the_newest_events_come_first_and_are_limited():
    course_template()
    who = lms_learner()
    events = [passes(who, minute) for minute in range(learner.EVENTS_SHOWN + 1)]
    deliver(*events)
    shown = learner_status(who.username)["events"]
    assert [event["id"] for event in shown] == [str(event.id) for event in reversed(events[1:])]


def test_what_an_operator_did_names_them(capsys):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    BadgeHistory.objects.create(badge=Badge.objects.get(), what="retry", outcome="asked for", actor="olga")
    [shown] = learner_status(who.username)["badges"]
    assert [entry["actor"] for entry in shown["history"]] == [None, "olga"]
    call_command("badge_status", "--username", who.username)
    assert "retry by olga: asked for" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["username", "email", "lms_user_id"])
def test_a_learner_is_named_by_username_email_or_lms_id(field, capsys):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    value = getattr(Learner.objects.get(), field)
    call_command("badge_status", f"--{field.replace('_', '-')}", str(value), "--json")
    assert json.loads(capsys.readouterr().out) == learner_status(who.username)


@pytest.mark.parametrize("named", [[], ["--username", "dana", "--lms-user-id", "7"]])
def test_a_learner_is_named_in_exactly_one_way(named):
    with pytest.raises(CommandError):
        call_command("badge_status", *named)


def test_an_unknown_learner_is_an_error():
    with pytest.raises(CommandError, match="No learner 'nobody'"):
        call_command("badge_status", "--username", "nobody")
