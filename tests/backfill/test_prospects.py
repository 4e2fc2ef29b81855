"""The dry run says what the real run does, whatever the rules and whatever happened before."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.configuration import ruleset
from pipeline.ledgers.kept import Span
from pipeline.lms.events import LmsEvent, LmsLearner, passing_event
from pipeline.models import Badge, CredlyState, Organization, Requirement, Template
from pipeline.reports.prospects import prospects, totals
from tests.backfill.turning import held, ignored, run_through
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    at,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    organization,
    passes,
    penalty,
    requirement,
    template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

settings.register_profile(
    "prospects",
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("thorough prospects", settings.get_profile("prospects"), max_examples=1000)
IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
PROFILE = settings.get_profile("thorough prospects" if IS_THOROUGH else "prospects")

ART = "course-v1:OpenedX+Art+2026"
LEARNERS = [LmsLearner(number, f"learner{number}", f"learner{number}@learners.example", "Dana") for number in (1, 2)]
RULES = [(PASSED, course(DEMO)), (PASSED,), (PASSED, course(MATH)), ()]
STRIKES = [(FAILED, course(DEMO)), (FAILED,), (PASSED, course(ART))]


@dataclass(frozen=True)
class Wanted:
    """A requirement, as it is configured."""

    rules: Any
    group: str
    count: int
    distinct: str
    within: timedelta | None
    after: bool


@dataclass(frozen=True)
class Plan:
    """A template as it is at first, and what it is changed to."""

    requirements: Sequence[Wanted]
    penalties: Sequence[tuple[frozenset[int], Any]]
    later: Sequence[Wanted]
    reaward: bool
    per: str
    is_late: bool


wanted = st.builds(
    Wanted,
    rules=st.sampled_from(RULES),
    group=st.sampled_from(["A", "B", ""]),
    count=st.sampled_from([1, 1, 2, 3]),
    distinct=st.sampled_from(["", "course.course_key"]),
    within=st.sampled_from([None, timedelta(minutes=2)]),
    after=st.booleans(),
)
plans = st.builds(
    Plan,
    requirements=st.lists(wanted, min_size=1, max_size=3),
    penalties=st.lists(st.tuples(st.frozensets(st.integers(0, 2), min_size=1), st.sampled_from(STRIKES)), max_size=2),
    later=st.lists(wanted, max_size=3),
    reaward=st.booleans(),
    per=st.sampled_from(["", "", "course.course_key"]),
    is_late=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[LmsEvent]:
    number = draw(st.integers(1, 10))
    learners, courses = st.sampled_from(LEARNERS), st.sampled_from([DEMO, MATH, ART])
    return [
        passing_event(
            draw(learners), draw(courses), draw(st.booleans()), at(draw(st.integers(0, 6))), UUID(int=each + 1)
        )
        for each in range(number)
    ]


def configure(plan: Plan, owner: Organization) -> Template:
    row = template(owner, uuid=uuid4(), active=not plan.is_late, reaward=plan.reaward, per=plan.per)
    requirements: list[Requirement] = []
    for number, each in enumerate(plan.requirements):
        requirements.append(requirement(row, f"r{number}", *each.rules, group=each.group))
        change(requirements, number, each)
    for number, (which, rules) in enumerate(plan.penalties):
        penalty(row, f"p{number}", [requirements[each] for each in which if each < len(requirements)], *rules)
    return row


def change(requirements: Sequence[Requirement], number: int, wanted: Wanted) -> None:
    row = requirements[number]
    row.count, row.distinct, row.within = wanted.count, wanted.distinct if wanted.count > 1 else "", wanted.within
    row.after = requirements[number - 1] if wanted.after and number else None
    row.group = wanted.group
    row.save()


def reconfigure(plan: Plan, row: Template) -> None:
    requirements = list(row.requirements.order_by("slug"))
    for number, each in enumerate(plan.later[: len(requirements)]):
        change(requirements, number, each)
    for number, each in enumerate(plan.later[len(requirements) :]):
        requirement(row, f"s{number}", *each.rules, group=each.group)
    row.active = True
    row.save()


def foreseen(row: Template) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """Who is said to gain the badge, and who to lose it."""
    looks = prospects(ruleset.compiled(row), Span(None, timezone.now()))
    found = [each for look in looks for each in look.prospects]
    return {(p.lms_user_id, p.value) for p in found if p.gains}, {
        (p.lms_user_id, p.value) for p in found if not p.gains
    }


@settings(PROFILE)
@given(
    plan=plans,
    before=histories(),
    credly=st.sampled_from(["none", "pending", "revoked"]),
    put=st.sampled_from(["", "operator"]),
)
def test_what_the_dry_run_says_is_what_the_real_run_does(plan, before, credly, put):
    with transaction.atomic():
        row = configure(plan, organization())
        deliver(*before)
        is_revoked = credly == "revoked"
        Badge.objects.filter(standing="revoked" if is_revoked else "awarded").update(
            credly_state=credly, credly_id=UUID(int=77) if Badge.objects.count() == 1 and credly != "none" else None
        )
        Badge.objects.filter(standing="revoked").update(revoked_by=put or "rules")
        reconfigure(plan, row)
        gains, losses = foreseen(row)
        had = held(row)
        run_through(row)
        assert (held(row) - had, had - held(row)) == (gains, losses)
        assert foreseen(row) == (set(), set()), "a second run changes nothing"
        transaction.set_rollback(True)


def test_a_template_that_is_not_active_is_looked_at_as_if_it_were():
    row = course_template(active=False)
    dana, sam = lms_learner(), lms_learner()
    ignored(passes(dana, 1), passes(sam, 1), fails(sam, 2))
    assert foreseen(row) == ({(dana.id, "")}, set())


def test_a_penalty_that_was_added_takes_the_badge_from_those_it_struck_before():
    row = template()
    demo = requirement(row, "demo", PASSED, course(DEMO))
    dana = lms_learner()
    deliver(passes(dana, 1), fails(dana, 2))
    assert held(row) == {(dana.id, "")}
    penalty(row, "failed", [demo], FAILED, course(DEMO))
    assert foreseen(row) == (set(), {(dana.id, "")})
    run_through(row)
    assert held(row) == set()


def agree(row: Template) -> set[tuple[int, str]]:
    """Who holds the badge after a backfill that did what was foreseen."""
    gains, losses = foreseen(row)
    had = held(row)
    run_through(row)
    assert (held(row) - had, had - held(row)) == (gains, losses)
    return held(row)


@pytest.mark.parametrize("reaward", [True, False])
def test_a_badge_that_credly_revoked_comes_back_only_where_the_template_awards_again(reaward):
    row, dana = course_template(reaward=reaward), lms_learner()
    deliver(passes(dana, 1), fails(dana, 2))
    Badge.objects.update(credly_state=CredlyState.REVOKED, credly_id=uuid4())
    ignored(passes(dana, 3))
    assert agree(row) == ({(dana.id, "")} if reaward else set())


def test_a_badge_at_credly_that_was_to_be_revoked_does_not_come_back_without_news():
    row, dana = template(), lms_learner()
    demo = requirement(row, "demo", PASSED, course(DEMO))
    requirement(row, "math", PASSED, course(MATH))
    penalty(row, "failed", [demo], FAILED, course(DEMO))
    deliver(passes(dana, 1), passes(dana, 2, MATH))
    Badge.objects.update(credly_state=CredlyState.PENDING, credly_id=uuid4())
    deliver(fails(dana, 3))
    row.requirements.update(group="A")
    row.save()
    assert agree(row) == set()


def test_a_reset_that_is_known_takes_no_badge_that_a_changed_rule_left():
    row, dana = template(), lms_learner()
    requirement(row, "demo", PASSED, course(DEMO), group="A")
    twice = requirement(row, "twice", PASSED, group="A")
    twice.count = 2
    twice.save()
    penalty(row, "failed", [twice], FAILED)
    deliver(fails(dana, 0), passes(dana, 1))
    twice.group = "B"
    twice.save()
    assert agree(row) == {(dana.id, "")}


def test_a_badge_per_course_is_foreseen_for_each_course():
    row = template(per="course.course_key")
    requirement(row, "any", PASSED)
    dana = lms_learner()
    ignored(passes(dana, 1), passes(dana, 2, MATH), passes(dana, 3, MATH))
    assert foreseen(row) == ({(dana.id, DEMO), (dana.id, MATH)}, set())


def test_a_look_reads_and_does_not_write(django_assert_num_queries):
    row = course_template(active=False)
    ignored(*(passes(lms_learner(), 1) for _ in range(30)))
    compiled = ruleset.compiled(row)
    with django_assert_num_queries(5) as queries:
        list(prospects(compiled, Span(None, timezone.now())))
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def test_the_totals_of_many_events_end_in_time_and_say_how_far_they_came(monkeypatch):
    monkeypatch.setattr("pipeline.reports.prospects.AT_ONCE", 2)
    row = course_template(active=False)
    ignored(*(passes(lms_learner(), 1) for _ in range(6)))
    span = Span(None, timezone.now())
    assert totals(ruleset.compiled(row), span, seconds=60) == (6, 0, 6, True)
    with CaptureQueriesContext(connection) as queries:
        assert totals(ruleset.compiled(row), span, seconds=0) == (1, 0, 1, False)
    assert not any("COUNT(" in query["sql"] for query in queries), "a count reads all, however little time there is"
