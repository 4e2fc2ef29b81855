"""Trying events on templates with richer rules, and the examples that the page "Try it" offers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.bus.catalogue import event_types, kinds
from pipeline.ledgers.progress import known
from pipeline.lms.events import PASSING, LmsLearner
from pipeline.models import Badge, Requirement, RequirementRule, Template
from pipeline.reports.example_event import example_payload, example_time
from pipeline.reports.trial import try_event
from pipeline.reports.trial_outcome import Effect, Trial
from pipeline.reports.trial_outcome import Verdict as Promise
from pipeline.reports.written_event import WrittenEvent, misfits
from pipeline.rules import compiled, value_at
from tests.ledgers import builders
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    at,
    deliver,
    fails,
    lms_learner,
    passes,
    penalty,
    requirement,
)
from tests.management.commands import run

COURSE = "course.course_key"
ART = "course-v1:OpenedX+Art+2026"

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """A template without requirements."""
    return builders.template()


@pytest.fixture
def dana() -> LmsLearner:
    return lms_learner()


def tried(row: Template, event: Any) -> Trial:
    return try_event(row, event.type, event.payload, event.time, event.id)


def courses(owner: Template, number: int) -> Requirement:
    """So many different courses passed; failing one takes it back."""
    row = requirement(owner, "courses", PASSED, count=number, distinct=COURSE)
    penalty(owner, "failed", [row], FAILED)
    return row


def test_a_trial_counts(template, dana):
    courses(template, 2)
    first = tried(template, passes(dana, 1, DEMO))
    assert (first.words, first.learner.steps[0].effect) == (
        "Nothing: courses (1 of 2) is still missing.",
        Effect.COUNTED,
    )
    assert first.learner.steps[0].words == "the event would count for it (0, then 1 of 2)"
    deliver(passes(dana, 1, DEMO))
    again = tried(template, passes(dana, 2, DEMO))
    assert again.learner.steps[0].words == "nothing: as much would count as before (1 of 2)"
    other = tried(template, passes(dana, 2, MATH))
    assert (other.verdict, other.learner.steps[0].words) == (
        Promise.AWARDED,
        "would be fulfilled by the event (1, then 2 of 2)",
    )
    back = tried(template, fails(dana, 2, DEMO))
    assert back.learner.steps[0].words == "what counted would be taken back by the event (1, then 0 of 2)"


def test_a_template_whose_requirements_come_after_each_other_in_a_circle_is_told_to_be_broken(template, dana):
    one = requirement(template, "one", PASSED)
    two = requirement(template, "two", PASSED, after=one)
    Requirement.objects.filter(pk=one.pk).update(after=two)
    with pytest.raises(ValueError, match="circle"):
        tried(template, passes(dana, 1))


def test_an_event_that_is_counted_already_would_do_nothing(template, dana):
    courses(template, 2)
    event = passes(dana, 1, DEMO)
    deliver(event)
    assert tried(template, event).learner.steps[0].effect is Effect.KNOWN


def test_a_trial_says_that_nothing_counts_before_what_it_comes_after(template, dana):
    basics = requirement(template, "basics", PASSED, builders.course(MATH))
    requirement(template, "then", PASSED, builders.course(DEMO), count=2, after=basics)
    early = passes(dana, 5, DEMO)
    waits = "nothing: no event counts before “basics” is fulfilled (0 of 2)"
    for _time in ("before it came", "once it is counted"):
        then = tried(template, early).learner.steps[1]
        assert (then.effect, then.words) == (Effect.WAITS, waits)
        deliver(early)
    deliver(passes(dana, 6, MATH))
    for minute in (5, 6):
        then = tried(template, passes(dana, minute, DEMO)).learner.steps[1]
        assert then.effect is Effect.NOT_LATER
        assert then.words == "nothing: only events later than the one that fulfilled “basics” count (0 of 2)"
    assert tried(template, passes(dana, 7, DEMO)).learner.steps[1].effect is Effect.COUNTED


def test_a_trial_says_it_of_one_event_too_but_not_of_one_that_takes_back(template, dana):
    basics = requirement(template, "basics", PASSED, builders.course(MATH))
    then = requirement(template, "then", PASSED, builders.course(DEMO), after=basics)
    penalty(template, "failed", [then], FAILED)
    step = tried(template, passes(dana, 5, DEMO)).learner.steps[1]
    assert step.words == "nothing: no event counts before “basics” is fulfilled"
    assert tried(template, fails(dana, 5, DEMO)).learner.steps[1].effect not in (Effect.WAITS, Effect.NOT_LATER)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"counts_from": at(10)}, "its time lies before 1 May 2026 12:10:00 UTC."),
        ({"counts_until": at(5)}, "its time lies at or after 1 May 2026 12:05:00 UTC."),
        ({"counts_until": datetime(2026, 5, 1, tzinfo=UTC)}, "its time lies after 30 Apr 2026."),
        ({"count": 2, "distinct": "course.start"}, "no value at course.start, by which events are told apart."),
    ],
)
def test_a_trial_tells_why_an_event_does_not_count_though_its_rules_match(template, dana, fields, reason):
    requirement(template, "some", PASSED, **fields)
    trial = tried(template, passes(dana, 5))
    [some] = trial.requirements
    assert (some.met, [rule.matched for rule in some.rules]) == (False, [True])
    assert some.unfit[0].endswith(reason)
    assert trial.verdict is Promise.NO_MATCH


def test_a_trial_compares_numbers_as_numbers(template, dana):
    requirement(template, "some", ("user.id", "gt", "5"))
    assert tried(template, passes(dana, 1)).requirements[0].met == (dana.id > 5)


def test_a_trial_is_about_the_badge_for_the_events_value(dana):
    row = builders.template(per=COURSE)
    requirement(row, "passed", PASSED)
    deliver(passes(dana, 1, DEMO))
    assert tried(row, passes(dana, 2, DEMO)).verdict is Promise.ALREADY_AWARDED
    other = tried(row, passes(dana, 2, MATH))
    assert (other.verdict, other.value) == (Promise.AWARDED, MATH)


def test_a_trial_of_an_event_without_the_value_says_so(dana):
    row = builders.template(per="course.start")
    requirement(row, "passed", PASSED)
    assert tried(row, passes(dana, 1)).verdict is Promise.NO_VALUE


def test_a_trial_that_forgot_what_counted_before_would_be_caught(template, dana, monkeypatch):
    """The control: without the stored occurrences the second course would seem to be the first."""
    courses(template, 2)
    deliver(passes(dana, 1, DEMO))
    monkeypatch.setattr("pipeline.reports.trial_standing.known", lambda rows, noted: known(rows, {}))
    assert tried(template, passes(dana, 2, MATH)).verdict is Promise.INCOMPLETE
    deliver(passes(dana, 2, MATH))
    assert Badge.objects.count() == 1


def test_the_command_tells_why_an_event_does_not_count_and_how_far_it_leads(dana, capsys):
    row = builders.template(per=COURSE)
    requirement(row, "thrice", PASSED, count=3, counts_from=at(10))
    event = passes(dana, 5)
    deliver(event)
    shown = run(capsys, "try_event", "--template", str(row.uuid), "--event", str(event.id)).out
    assert f"One badge for each value of {COURSE}: {DEMO}" in shown
    assert "its time lies before 1 May 2026 12:10:00 UTC" in shown
    assert "thrice: not fulfilled; the event says nothing about it (0 of 3)" in shown


def test_the_command_takes_nothing_for_lost_while_some_of_it_counts(template, dana, capsys):
    courses(template, 3)
    failing, other = fails(dana, 3, DEMO), passes(dana, 5, ART)
    deliver(passes(dana, 1, DEMO), passes(dana, 2, MATH), failing, other)
    shown = run(capsys, "try_event", "--template", str(template.uuid), "--event", str(other.id)).out
    took_back = f"event {failing.id} of {failing.time.isoformat()} last took something back"
    assert f"courses: not fulfilled, {took_back}; nothing: this very event is counted already (2 of 3)" in shown


# Examples


@pytest.mark.parametrize(
    ("path", "operator", "value"),
    [
        ("is_passing", "ne", "true"),
        (COURSE, "ne", DEMO),
        (COURSE, "in", f"{MATH}\n{ART}"),
        (COURSE, "not_in", f"{DEMO}\n{MATH}"),
        (COURSE, "starts_with", "course-v1:MIT"),
        (COURSE, "starts_with", "course-v1:MIT+Phy"),
        (COURSE, "starts_with", "course-v1:MIT+Physics+"),
        (COURSE, "contains", "MIT"),
        (COURSE, "contains", "+2026"),
        (COURSE, "matches", "course-v1:OpenedX[+].*"),
        (COURSE, "exists", "true"),
        ("course.display_name", "contains", "Physics"),
        ("course.display_name", "starts_with", "Physics"),
        ("course.display_name", "ne", "display_name"),
        ("course.start", "exists", "true"),
        ("course.start", "exists", "false"),
        ("course.start", "gt", "2027-01-01T00:00:00+00:00"),
        ("course.start", "lt", "2020-01-01T00:00:00Z"),
        ("user.id", "gt", "1000000000"),
        ("user.id", "le", "4"),
        ("user.id", "not_in", "999999999"),
    ],
)
def test_an_example_satisfies_each_operator_and_could_come_over_the_bus(path, operator, value):
    payload = example_payload(event_types()[PASSING], [RequirementRule(data_path=path, operator=operator, value=value)])
    assert compiled(operator, value, kinds(PASSING)[path])(value_at(payload, path))
    assert misfits(WrittenEvent(PASSING, payload)) == []


def test_an_example_satisfies_all_rules_of_a_path_at_once():
    rules = [
        RequirementRule(data_path=COURSE, operator="starts_with", value="course-v1:MIT+"),
        RequirementRule(data_path=COURSE, operator="ne", value="course-v1:MIT+X+X"),
    ]
    key = example_payload(event_types()[PASSING], rules)["course"]["course_key"]
    assert key.startswith("course-v1:MIT+")
    assert key != "course-v1:MIT+X+X"


def test_an_example_is_of_a_time_that_counts():
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    day = timedelta(days=1)
    assert example_time(Requirement()) is None
    assert example_time(Requirement(counts_from=past, counts_until=future)) is None
    assert example_time(Requirement(counts_from=future)) == future
    assert example_time(Requirement(counts_from=past, counts_until=past + day)) == past
    assert example_time(Requirement(counts_until=past)) == past - day


def test_a_trial_knows_that_what_was_fulfilled_under_other_rules_stays_so(template, dana):
    """Two courses were enough, then three are asked for, and then one."""
    row = requirement(template, "courses", PASSED, count=2, distinct=COURSE)
    deliver(passes(dana, 5, DEMO), passes(dana, 6, MATH))
    row.count = 3
    row.save()
    deliver(passes(dana, 7, DEMO))
    row.count, row.distinct = 1, ""
    row.save()
    earlier = passes(dana, 1, DEMO)
    trial = tried(template, earlier)
    deliver(earlier)
    decided = row.fulfillments.get()
    step = trial.learner.steps[0]
    assert (step.after.event, step.after.fulfilled) == (decided.event, decided.fulfilled)
    assert decided.fulfilled
