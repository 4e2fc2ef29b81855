"""Having what learners did before count for a template, in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from pipeline.models import Backfill, Badge, Template
from tests.admin.pages import list_url, page_url, text
from tests.backfill.turning import begun, held, ignored, take_turns
from tests.ledgers.builders import (
    MATH,
    PASSED,
    at,
    course_template,
    lms_learner,
    organization,
    passes,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db


def url(row: Template) -> str:
    return reverse("admin:pipeline_template_run_kept_events", args=[row.pk])


def test_the_page_says_in_numbers_what_would_come_of_it_and_changes_nothing(operator):
    row = course_template()
    ignored(passes(lms_learner(), 1), passes(lms_learner(), 1), passes(lms_learner(), 1, MATH))
    page = text(operator.get(url(row)))
    assert "2 badges would be gained and 0 lost, by 3 kept events." in page
    assert (Badge.objects.count(), Backfill.objects.count()) == (0, 0)


def test_the_numbers_are_those_since_a_day(operator):
    row = course_template()
    ignored(passes(lms_learner(), 1), passes(lms_learner(), 60 * 24))
    page = text(operator.get(url(row), {"since": at(60 * 24).date().isoformat()}))
    assert "1 badge would be gained and 0 lost, by 1 kept event." in page


def test_with_very_many_events_it_says_by_how_many_the_numbers_are(operator, monkeypatch):
    monkeypatch.setattr("pipeline.admin.backfill.SECONDS", 0.0)
    monkeypatch.setattr("pipeline.reports.prospects.AT_ONCE", 2)
    row = course_template()
    ignored(*(passes(lms_learner(), 1) for _ in range(5)))
    page = text(operator.get(url(row)))
    assert "1 badge would be gained and 0 lost, by 1 kept event." in page
    assert "More events may be kept: the time for looking was up." in page


def test_begun_it_runs_and_the_template_s_page_shows_how_far_it_is(operator):
    row, dana = course_template(), lms_learner()
    ignored(passes(dana, 1))
    answer = operator.post(url(row), {"action": "begin", "since": ""}, follow=True)
    assert answer.redirect_chain == [(page_url(row), 302)]
    page = text(answer)
    assert "The kept events run through “Intro Course”. Live events go first." in page
    assert "Kept events run through this template." in page
    running = Backfill.objects.get()
    assert (running.state, running.started_by) == ("running", "operator")
    take_turns(running, 1)
    assert 'max="1" value="1"' in operator.get(page_url(row)).content.decode()
    take_turns(running)
    page = text(operator.get(page_url(row)))
    assert "The kept events ran through this template, done" in page
    assert "1 of 1 kept events looked at, 1 met the rules and ran again, 1 badges awarded, 0 revoked." in page
    assert held(row) == {(dana.id, "")}
    assert LogEntry.objects.get().get_change_message() == "Had the kept events run through it."


def test_it_can_be_stopped_and_goes_on(operator):
    row = course_template()
    begun(row)
    page = text(operator.post(url(row), {"action": "stop"}, follow=True))
    assert "Stopped. 0 of ? kept events looked at" in page
    assert "Running kept events through this template was stopped." in page
    assert "No kept events are running" in text(operator.post(url(row), {"action": "stop"}, follow=True))
    operator.post(url(row), {"action": "begin", "since": ""})
    assert Backfill.objects.get().state == "running"
    messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert messages == ["Stopped running kept events through it.", "Had the kept events run through it."]


def test_what_it_waits_for_is_said(operator):
    row = course_template()
    begun(row)
    Backfill.objects.update(note="Waits while more than 500 events wait in the inbox: they go first.")
    assert "Waits while more than 500 events" in text(operator.get(page_url(row)))


def test_a_template_that_is_not_active_shows_numbers_and_no_button(operator):
    row = course_template(active=False)
    ignored(passes(lms_learner(), 1))
    page = text(operator.get(url(row)))
    assert "1 badge would be gained" in page
    assert "activate it first" in page
    assert 'value="begin"' not in operator.get(url(row)).content.decode()
    assert text(operator.post(url(row), {"action": "begin", "since": ""})).count("activate it first") == 2
    assert not Backfill.objects.exists()


def test_a_template_without_requirement_is_told(operator):
    row = template()
    assert "The template has no requirement" in text(operator.get(url(row)))
    page = text(operator.post(url(row), {"action": "begin", "since": ""}))
    assert page.count("The template has no requirement") == 2
    assert "activate it first" not in page


def test_a_broken_template_is_told(operator):
    row = template()
    requirement(row, "demo", PASSED, ("course.course_key", "matches", "("))
    page = text(operator.post(url(row), {"action": "begin", "since": ""}))
    assert page.count("The template takes no part in anything, since it is broken: ") == 2
    assert "activate it first" not in page


@pytest.mark.parametrize("since", ["soon", "2026-02-30"])
def test_what_is_no_date_is_an_error_at_its_field(operator, since):
    row = course_template()
    for answer in (operator.get(url(row), {"since": since}), operator.post(url(row), {"since": since})):
        assert "Enter a valid date." in text(answer)
    assert not Backfill.objects.exists()


def test_while_one_runs_another_span_is_refused(operator):
    row = course_template()
    begun(row)
    page = text(operator.post(url(row), {"action": "begin", "since": "2026-05-01"}))
    assert "One that goes back to another time is running. Stop it first." in page


def test_whoever_may_not_change_templates_can_not_have_it_run(viewer):
    row = course_template()
    begun(row)
    assert viewer.get(url(row)).status_code == 403
    assert viewer.post(url(row), {"action": "begin", "since": ""}).status_code == 403
    page = viewer.get(page_url(row))
    assert "Kept events run through this template." in text(page)
    assert 'value="stop"' not in page.content.decode()


def test_looking_begins_nothing(operator: Client):
    row = course_template()
    operator.get(url(row), {"action": "begin"})
    assert not Backfill.objects.exists()


def test_a_template_that_is_not_there_is_not_found(operator):
    assert operator.get(reverse("admin:pipeline_template_run_kept_events", args=[99])).status_code == 404


def test_activating_and_changing_offer_it(operator, site):
    Template.objects.update(active=False)
    chosen = {"action": "activate", "_selected_action": [site.template.pk]}
    activated = operator.post(list_url(Template), chosen, follow=True)
    assert f'href="{url(site.template)}"' in activated.content.decode()
    fields = {"active": "on", "name": "Another", "image_url": "https://credly.example/i.png", "_continue": "1"}
    changed = operator.post(page_url(site.template), fields, follow=True)
    message, *_ = changed.context["messages"]
    assert "The change of “Another” counts for events from now on." in str(message)
    assert f'href="{url(site.template)}"' in str(message)


def test_a_page_costs_the_same_for_many_learners(operator, django_assert_max_num_queries):
    row = course_template(organization())
    requirement(row, "other")
    ignored(*(passes(lms_learner(), 1) for _ in range(40)))
    operator.get(url(row))
    with django_assert_max_num_queries(25):
        operator.get(url(row))
