"""Operators, counting, spans of time, order and badges per value, in the words that people read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.lms.events import PASSING, LmsLearner
from pipeline.models import Badge, Event, Learner, Operator, Requirement, Template
from pipeline.reports import effects
from pipeline.reports.cases import cases_of
from pipeline.reports.clauses import needs, rules_in_words
from pipeline.reports.comparisons import SIGNS, matched_rules
from pipeline.reports.event_facts import compared_paths
from pipeline.reports.explanation import Verdict, explain
from pipeline.reports.learner import learner_status
from pipeline.reports.reach import reach
from pipeline.reports.sentence import sentence
from pipeline.rules import OPERATORS
from tests.ledgers import builders
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    course,
    deliver,
    fails,
    learner,
    lms_learner,
    passes,
    penalty,
    requirement,
)
from tests.management.commands import run

COURSE = "course.course_key"
ART = "course-v1:OpenedX+Art+2026"
MARCH, JULY = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """A template without requirements."""
    return builders.template()


@pytest.fixture
def dana() -> LmsLearner:
    return lms_learner()


def courses(owner: Template, number: int, **fields: Any) -> Requirement:
    """So many different courses passed; failing one takes it back."""
    row = requirement(owner, "courses", PASSED, count=number, distinct=COURSE, **fields)
    penalty(owner, "failed", [row], FAILED)
    return row


def explained(who: LmsLearner) -> dict[str, str]:
    """The explanations by value."""
    return {case.value: explain(case).text for case in cases_of(Learner.objects.get(lms_user_id=who.id))}


# The sentence


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ((COURSE, "in", f"{DEMO}\n{MATH}"), f"a course passed: the course “{DEMO}” or “{MATH}”"),
        ((COURSE, "not_in", f"{DEMO}\n{MATH}"), f"a course other than “{DEMO}” or “{MATH}”"),
        ((COURSE, "starts_with", "course-v1:OpenedX+"), "a course whose key starts with “course-v1:OpenedX+”"),
        ((COURSE, "contains", "+2026"), "a course whose key contains “+2026”"),
        ((COURSE, "matches", ".*[+]2026"), "a course whose key matches “.*[+]2026”"),
    ],
)
def test_which_courses_are_to_be_passed_is_told_in_plain_words(template, rule, words):
    requirement(template, "some", PASSED, rule)
    assert f"Awarded when the learner passes {words.removeprefix('a course passed: ')}." in sentence(template)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (("course.display_name", "exists", "true"), "course.display_name is there"),
        (("course.display_name", "exists", "no"), "course.display_name is missing"),
        (("course.start", "lt", "2026-05-01T00:00:00Z"), "course.start is earlier than “2026-05-01T00:00:00Z”"),
        (("course.start", "ge", "2026-05-01T00:00:00Z"), "course.start is not earlier than “2026-05-01T00:00:00Z”"),
        (("user.id", "gt", "5"), "user.id is greater than “5”"),
        (("user.id", "le", "5"), "user.id is at most “5”"),
        (("user.id", "in", "5\n6"), "user.id is one of “5” or “6”"),
        (("user.id", "not_in", "5"), "user.id is none of “5”"),
        (("course.display_name", "matches", "A.*"), "course.display_name matches the regular expression “A.*”"),
        (("course.display_name", "starts_with", "A"), "course.display_name starts with “A”"),
        (("course.display_name", "contains", "A"), "course.display_name contains “A”"),
    ],
)
def test_each_operator_has_its_words(template, rule, words):
    assert rules_in_words(requirement(template, "one", rule)) == words


def test_no_operator_is_without_words():
    assert SIGNS.keys() == OPERATORS.keys() == set(Operator.values)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"count": 5, "distinct": COURSE}, "the learner passes 5 different courses"),
        ({"count": 3}, "the learner passes a course, 3 times"),
        (
            {"count": 2, "distinct": "course.display_name"},
            "the learner passes a course, 2 times, each time with a different course.display_name",
        ),
        (
            {"count": 5, "distinct": COURSE, "within": timedelta(days=90)},
            "the learner passes 5 different courses within 90 days",
        ),
        ({"count": 3, "within": timedelta(hours=36)}, "the learner passes a course, 3 times, within 36 hours"),
        ({"counts_from": MARCH}, "the learner passes a course from 1 Mar 2026 on"),
        ({"counts_until": JULY}, "the learner passes a course until 30 Jun 2026"),
        ({"counts_from": MARCH, "counts_until": JULY}, "the learner passes a course from 1 Mar 2026 until 30 Jun 2026"),
        (
            {"counts_until": JULY + timedelta(hours=12)},
            "the learner passes a course before 1 Jul 2026 12:00:00 UTC",
        ),
    ],
)
def test_how_many_and_when_are_told(template, fields, words):
    requirement(template, "some", PASSED, **fields)
    assert sentence(template) == f"Awarded when {words}. No event revokes it."


def test_of_some_courses_so_many_are_told(template):
    requirement(template, "some", PASSED, (COURSE, "in", f"{DEMO}\n{MATH}\n{ART}"), count=2, distinct=COURSE)
    assert f"passes 2 different courses of “{DEMO}” or “{MATH}” or “{ART}”." in sentence(template)


def test_what_comes_after_what_is_told(template):
    first = requirement(template, "intro", PASSED, course(DEMO))
    requirement(template, "final", PASSED, course(MATH), after=first)
    assert f"the learner passes the course “{MATH}” after “intro” is fulfilled." in sentence(template)


def test_a_description_does_not_hide_how_many_it_takes(template):
    row = requirement(template, "some", PASSED, count=5, distinct=COURSE, within=timedelta(days=90))
    Requirement.objects.filter(pk=row.pk).update(description="100% of a series.")
    assert sentence(template).startswith(
        "Awarded when “100% of a series” is fulfilled (5 events, each with a different course, within 90 days)."
    )


def test_alternatives_that_ask_for_different_numbers_are_told_apart(template):
    for slug, number in (("few", 2), ("many", 5)):
        requirement(template, slug, PASSED, count=number, distinct=COURSE, group="A")
    assert "either the learner passes 2 different courses or 5 different courses." in sentence(template)


def test_a_penalty_that_takes_back_one_value_may_leave_enough(template):
    courses(template, 2)
    assert "Revoked when the learner does not pass a course, unless “courses” is still fulfilled." in sentence(template)


def test_a_penalty_on_events_that_do_not_differ_takes_back_all(template):
    row = requirement(template, "thrice", PASSED, count=3)
    penalty(template, "failed", [row], FAILED)
    assert "Revoked when the learner does not pass a course. " in sentence(template)


def test_a_badge_for_each_value_is_told_as_such(template):
    template.per = COURSE
    penalty(template, "failed", [requirement(template, "passed", PASSED)], FAILED)
    assert sentence(template) == (
        "Awarded, once for each course, when the learner passes a course. Revoked, for the same course, when the learner "
        "does not pass a course. Once revoked, it is not awarded again."
    )
    template.per = "course.display_name"
    assert "once for each value of course.display_name" in sentence(template)


def test_what_a_requirement_needs_says_how_many_and_when(template):
    assert needs(courses(template, 5, within=timedelta(days=90), counts_from=MARCH)) == (
        "Course passed or failed: is_passing is true; "
        "5 events, each with a different course, within 90 days, from 1 Mar 2026 on"
    )


def test_rules_that_decided_are_told_on_one_line():
    rules = [["course.course_key", "in", "a\nb"], ["user.id", "ge", "5"]]
    assert matched_rules({"requirement": "any", "rules": rules}) == "course.course_key is one of a, b and user.id >= 5"


# How far a learner is


def test_what_counts_is_told_with_the_values(template, dana):
    courses(template, 5)
    deliver(passes(dana, 1, DEMO), passes(dana, 2, MATH), passes(dana, 3, MATH))
    assert (
        explained(dana)[""]
        == f'Does not hold "Intro Course": requirement "courses" (2 of 5: {DEMO}, {MATH}) is missing.'
    )


def test_events_that_do_not_differ_are_counted_without_values(template, dana):
    requirement(template, "thrice", PASSED, count=3)
    deliver(passes(dana, 1), passes(dana, 2))
    assert 'requirement "thrice" (2 of 3) is missing' in explained(dana)[""]


def test_only_what_lies_together_counts_within_a_span(template, dana):
    courses(template, 3, within=timedelta(minutes=10))
    deliver(passes(dana, 1, DEMO), passes(dana, 5, MATH), passes(dana, 30, ART))
    assert f"2 of 3 within 10 minutes: {DEMO}, {MATH}, {ART}" in explained(dana)[""]


def test_many_values_are_not_all_listed(template, dana):
    courses(template, 20)
    deliver(*[passes(dana, each, f"course-v1:OpenedX+C{each:02}+2026") for each in range(12)])
    assert "C09+2026 and more) is missing" in explained(dana)[""]


def test_a_value_that_a_penalty_took_back_counts_no_more_and_the_others_do(template, dana):
    courses(template, 2)
    failing = fails(dana, 3, MATH)
    deliver(passes(dana, 1, DEMO), passes(dana, 2, MATH), failing)
    assert explained(dana)[""].startswith('Lost "Intro Course": revoked ')
    assert f'(1 of 2: {DEMO}; penalty "failed" last took back from it' in explained(dana)[""]
    assert f"matched by event {failing.id}" in explained(dana)[""]


def test_what_must_come_first_is_told(template, dana):
    first = requirement(template, "intro", PASSED, course(DEMO))
    requirement(template, "final", PASSED, course(MATH), after=first)
    deliver(passes(dana, 1, MATH))
    assert (
        'requirement "final" (nothing counts before that: after “intro” is fulfilled) is missing' in explained(dana)[""]
    )


def test_each_value_has_its_own_explanation(dana):
    row = builders.template(per=COURSE, allows_duplicates=True)
    penalty(row, "failed", [requirement(row, "passed", PASSED)], FAILED)
    deliver(passes(dana, 1, DEMO), passes(dana, 2, MATH), fails(dana, 3, MATH), fails(dana, 4, ART))
    told = explained(dana)
    assert told.keys() == {DEMO, MATH, ART}
    assert told[DEMO].startswith(f'Waiting: "Intro Course" for "{DEMO}" was awarded')
    assert told[MATH].startswith(f'Lost "Intro Course" for "{MATH}": revoked')
    assert told[ART].startswith(f'Does not hold "Intro Course" for "{ART}"')


def test_learners_on_the_way_and_holders_are_counted_once_however_many_values_they_have(dana):
    row = builders.template(per=COURSE)
    penalty(row, "failed", [requirement(row, "passed", PASSED)], FAILED)
    deliver(fails(dana, 1, DEMO), fails(dana, 2, MATH), passes(dana, 3, ART))
    for value in (DEMO, MATH):
        builders.held_badge(template=row, learner=learner(), value=value)
    one = Badge.objects.filter(value=MATH).get().learner
    builders.held_badge(template=row, learner=one, value=ART)
    assert (reach(row).on_the_way, reach(row).holding) == (1, 2)


def test_cases_of_counting_templates_take_the_same_number_of_queries_however_many_there_are(
    dana, django_assert_num_queries
):
    for number in range(10):
        row = builders.template(per=COURSE if number % 2 else "")
        first = requirement(row, "first", PASSED)
        requirement(row, "more", PASSED, count=3, after=first)
    deliver(*[passes(dana, each, key) for each, key in enumerate((DEMO, MATH, ART))])
    who = Learner.objects.get()
    builders.badge(learner=who, template=row, value=ART)
    with django_assert_num_queries(9):
        told = [explain(case).verdict for case in cases_of(who)]
    assert (told.count(Verdict.MISSING), told.count(Verdict.WAITING)) == (19, 1)


def test_the_case_of_a_template_whose_order_is_a_circle_is_still_told(template, dana):
    one = requirement(template, "one", PASSED)
    deliver(passes(dana, 1))
    two = requirement(template, "two", PASSED, after=one)
    Requirement.objects.filter(pk=one.pk).update(after=two)
    [case] = cases_of(Learner.objects.get())
    assert (explain(case).verdict, case.complete) == (Verdict.WAITING, False)


def test_badge_status_has_the_count_and_the_value(template, dana, capsys):
    courses(template, 3)
    event = passes(dana, 1, DEMO)
    deliver(event, passes(dana, 2, MATH), fails(dana, 3, MATH))
    [progress] = learner_status(Learner.objects.get())["progress"]
    [asked] = progress["requirements"]
    assert progress["for"] == ""
    assert asked["count"] == {
        "needed": 3,
        "reached": 1,
        "matches": [{"event": str(event.id), "time": event.time.isoformat(), "value": DEMO}],
    }
    shown = run(capsys, "badge_status", "--username", dana.username).out
    assert "      1 of 3\n" in shown
    assert f"counts: {DEMO} by event {event.id}" in shown


def test_badge_status_tells_the_badges_of_each_value_apart(dana, capsys):
    row = builders.template(per=COURSE)
    requirement(row, "passed", PASSED)
    deliver(passes(dana, 1, DEMO), passes(dana, 2, MATH))
    status = learner_status(Learner.objects.get())
    assert [badge["for"] for badge in status["badges"]] == sorted([DEMO, MATH])
    shown = run(capsys, "badge_status", "--username", dana.username).out
    assert f"\nIntro Course for {DEMO}: complete" in shown
    assert f"\nBadge Intro Course for {MATH} (" in shown


# What an event did


def test_an_event_that_counts_beside_others_says_so(template, dana):
    courses(template, 2)
    first, second = passes(dana, 1, DEMO), passes(dana, 2, MATH)
    deliver(first)
    row = Event.objects.get(pk=first.id)
    assert not effects.decisions(row)
    assert [each.requirement.slug for each in effects.counted(row)] == ["courses"]
    assert "counts beside other events" in effects.outcome(row, 0, 1)
    deliver(second)
    assert effects.decisions(Event.objects.get(pk=second.id)).count() == 1


def test_values_by_which_events_are_told_apart_are_shown_with_events(template):
    requirement(template, "some", PASSED, count=2, distinct="course.display_name")
    per = builders.template(per=COURSE)
    requirement(per, "any", PASSED)
    assert compared_paths()[PASSING] == {"is_passing", "course.display_name", COURSE}
