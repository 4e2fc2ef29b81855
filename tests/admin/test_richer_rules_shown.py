"""What the pages and lists of the admin show of counting, order and badges per value."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pipeline.models import Learner, Template
from tests.ledgers import builders
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    penalty,
    requirement,
)

COURSE = "course.course_key"

pytestmark = pytest.mark.django_db


def page_of(row: Any) -> str:
    return reverse(f"admin:pipeline_{row._meta.model_name}_change", args=[row.pk])


def content(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_page_of_a_template_says_how_many_and_when(operator: Client):
    template = course_template()
    template.requirements.update(count=5, distinct="course.display_name", within=timedelta(days=90))
    page = content(operator.get(page_of(template)))
    assert "5 events, each with a different course.display_name, within 90 days" in page


def test_the_list_of_requirements_says_it_too_in_as_many_queries_for_one_as_for_ten(operator: Client):
    url = reverse("admin:pipeline_requirement_changelist")
    operator.get(url)
    costs = []
    for number in (1, 10):
        for each in range(number):
            row = builders.template()
            first = requirement(row, f"first-{number}-{each}", PASSED)
            requirement(row, f"second-{number}-{each}", PASSED, count=3, after=first)
        with CaptureQueriesContext(connection) as queries:
            page = content(operator.get(url))
        costs.append(len(queries))
    assert "3 events, after “first-1-0” is fulfilled" in page
    assert costs[0] == costs[1]


@pytest.fixture
def learner() -> Learner:
    """One on the way to five courses, and with a badge for one of two courses."""
    counting = builders.template(name="Five courses")
    five = requirement(counting, "five", PASSED, count=5, distinct=COURSE)
    penalty(counting, "failed", [five], FAILED)
    each = builders.template(name="Each course", per=COURSE)
    penalty(each, "failed", [requirement(each, "passed", PASSED)], FAILED)
    who = lms_learner()
    deliver(passes(who, 1, DEMO), passes(who, 2, MATH), fails(who, 3, MATH))
    return Learner.objects.get()


def test_the_page_of_a_learner_counts_and_tells_values_apart(viewer: Client, learner: Learner):
    page = content(viewer.get(page_of(learner)))
    assert f"1 of 5: {DEMO}" in page
    assert re.search(rf"Each course\s*<span[^>]*>for {re.escape(DEMO)}</span>", page.replace("&#x27;", "'"))
    ids = re.findall(r'id="(badge-\d+)"', page)
    assert ids == [f"badge-{number}" for number in (1, 2, 3)]
    assert all(f'href="#{each}"' in page for each in ids)


def test_the_lists_of_progress_and_badges_tell_values_apart(viewer: Client, learner: Learner):
    for kind, number in (("progress", 3), ("badge", 2)):
        page = content(viewer.get(reverse(f"admin:pipeline_{kind}_changelist")))
        assert len(re.findall(r'<span class="badges-for[^>]*>for course-v1:', page)) == min(number, 2)
        assert "Each course" in page


def test_the_lists_cost_as_many_queries_for_one_value_as_for_many(viewer: Client, learner: Learner):
    urls = [reverse(f"admin:pipeline_{kind}_changelist") for kind in ("progress", "badge")] + [page_of(learner)]

    def costs() -> list[int]:
        found = []
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                viewer.get(url)
            found.append(len(queries))
        return found

    costs()
    before = costs()
    who = builders.LmsLearner(learner.lms_user_id, learner.username, learner.email, learner.name)
    deliver(*[passes(who, 10 + each, f"course-v1:OpenedX+C{each}+2026") for each in range(5)])
    assert costs() == before


def test_the_page_of_an_event_tells_for_what_it_counts(viewer: Client, learner: Learner):
    event = builders.Event.objects.get(payload__course__course_key=DEMO)
    page = content(viewer.get(page_of(event)))
    assert "counts for “five” of" in page


def test_try_it_shows_operators_counts_and_why_an_event_is_not_of_the_right_time(operator: Client, learner: Learner):
    row = builders.template(name="Late")
    requirement(
        row,
        "late",
        PASSED,
        (COURSE, "in", f"{DEMO}\n{MATH}"),
        count=2,
        counts_from=datetime(2099, 1, 1, tzinfo=UTC),
    )
    event = builders.Event.objects.get(payload__course__course_key=DEMO)
    page = content(operator.get(f"{reverse('admin:pipeline_template_try_it', args=[row.pk])}?event={event.pk}"))
    assert f"{DEMO}<br>{MATH}" in page
    assert "is one of" in page
    assert "its time lies before 1 Jan 2099." in page
    five = Template.objects.get(name="Five courses")
    page = content(operator.get(f"{reverse('admin:pipeline_template_try_it', args=[five.pk])}?event={event.pk}"))
    assert "nothing: this very event is counted already (1 of 5)" in page


def test_try_it_takes_nothing_for_lost_while_some_of_it_counts(operator: Client, learner: Learner):
    five = Template.objects.get(name="Five courses")
    event = builders.Event.objects.get(payload__course__course_key=DEMO)
    page = content(operator.get(f"{reverse('admin:pipeline_template_try_it', args=[five.pk])}?event={event.pk}"))
    assert re.search("not fulfilled: the event of <a[^>]*>[^<]*</a> last took something back", page)


def test_try_it_does_not_say_that_no_event_has_met_a_requirement_for_which_one_counts(operator: Client):
    row = builders.template()
    requirement(row, "five", PASSED, count=5)
    event = passes(lms_learner(), 1)
    deliver(event)
    page = content(operator.get(f"{reverse('admin:pipeline_template_try_it', args=[row.pk])}?event={event.id}"))
    assert "not fulfilled" in page
    assert "no event has met it" not in page


def test_try_it_offers_an_example_of_a_time_that_counts(operator: Client):
    row = builders.template()
    requirement(row, "then", PASSED, counts_until=datetime(2020, 1, 1, tzinfo=UTC))
    page = operator.get(reverse("admin:pipeline_template_try_it", args=[row.pk]))
    assert page.context["form"].initial["time"] == "2019-12-31T00:00:00+00:00"


def test_what_letting_the_rules_decide_lacks_is_told_for_the_badge_of_that_value(operator: Client, learner: Learner):
    badges = builders.Badge.objects.filter(template__name="Each course")
    badges.update(standing="revoked", revoked_by="operator", credly_state="none", due_at=None)
    lost = badges.get(value=MATH)
    response = operator.post(
        reverse("admin:pipeline_badge_changelist"),
        {"action": "let_rules_decide", "_selected_action": [lost.pk], "confirmed": "yes"},
        follow=True,
    )
    assert "requirement &quot;passed&quot;" in content(response)
