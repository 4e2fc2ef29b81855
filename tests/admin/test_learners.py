"""Learners in the admin: found by what people know of them; one page explains their badges."""

import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from pipeline.ledgers import holdings, inbox
from pipeline.models import Badge, BadgeHistory, CredlyState, Event, EventStatus, Learner, Progress
from pipeline.reports.learner import EVENTS_SHOWN
from tests.admin.pages import page_url, queries, queries_of
from tests.ledgers.builders import (
    DEMO,
    MATH,
    PASSED,
    at,
    badge,
    claimed,
    course,
    course_template,
    deliver,
    fails,
    held_badge,
    learner,
    lms_learner,
    passes,
    received,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db
LIST = reverse("admin:pipeline_learner_changelist")


def listed(client: Client, **query: str) -> list[str]:
    """The usernames that a list shows."""
    return [row.username for row in client.get(LIST, query).context["cl"].result_list]


def page(client: Client, who: Learner) -> str:
    """A learner's page, without the line breaks and indents of its source."""
    response = client.get(reverse("admin:pipeline_learner_change", args=[who.pk]))
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ann", ["ann", "Anna"]),
        ("ANNA", ["Anna"]),
        ("Ann@School.example", ["ann"]),
        ("else@", ["Anna"]),
        ("4711", ["bert"]),
        ("47", []),
        ("nn", []),
        ("99999999999999999999", []),
    ],
)
def test_learners_are_found_by_the_beginning_of_username_or_email_in_any_case_and_by_lms_id(viewer, search, found):
    learner(username="ann", email="ann@school.example")
    learner(username="Anna", email="else@school.example")
    learner(username="bert", email="bert@school.example", lms_user_id=4711)
    assert sorted(listed(viewer, q=search), key=str.lower) == found


def test_a_search_for_somebody_unknown_says_what_that_means(viewer):
    shown = viewer.get(LIST, {"q": "nobody"}).content.decode()
    assert "once an event about them has met a requirement or penalty" in shown
    assert (
        reverse("admin:pipeline_event_changelist") + "?lms_user_id__exact=7"
        in viewer.get(LIST, {"q": "7"}).content.decode()
    )


def test_the_list_counts_the_badges_that_credly_holds(viewer):
    who = learner()
    held_badge(learner=who)
    badge(learner=who)
    revoked = held_badge(learner=who)
    Badge.objects.filter(pk=revoked.pk).update(standing="revoked")
    learner()
    assert [row.held for row in viewer.get(LIST).context["cl"].result_list] == [1, 0]


def test_the_list_takes_the_same_number_of_queries_however_many_learners_there_are(viewer):
    held_badge()
    few = queries(viewer, Learner)
    for _ in range(20):
        held_badge()
    assert queries(viewer, Learner) == few


def test_the_page_explains_and_links_to_the_badge_its_event_and_its_template(viewer):
    row = course_template()
    who = lms_learner()
    event = passes(who, 1)
    deliver(event)
    shown = page(viewer, Learner.objects.get())
    assert "Waiting: &quot;Intro Course&quot; was awarded" in shown
    for name, key in (("badge", Badge.objects.get().pk), ("event", event.id), ("template", row.pk)):
        assert f'href="{reverse(f"admin:pipeline_{name}_change", args=[key])}"' in shown


def test_the_page_shows_each_requirement_with_what_decided_it_as_the_rules_stood(viewer):
    row = course_template()
    requirement(row, "math", PASSED, course(MATH), group="B")
    who = lms_learner()
    deliver(passes(who, 1))
    row.requirements.get(slug="demo").rules.all().delete()
    shown = page(viewer, Learner.objects.get())
    assert f"is_passing = true and course.course_key = {DEMO}" in shown
    assert ">not yet<" in shown
    assert ">fulfilled<" in shown
    deliver(fails(who, 2))
    shown = page(viewer, Learner.objects.get())
    assert ">taken back<" in shown
    assert "penalty demo-failed" in shown


def test_the_page_shows_the_history_with_who_did_what_and_the_signals(viewer):
    course_template()
    deliver(passes(lms_learner(), 1))
    row = Badge.objects.get()
    holdings.held(claimed(row), uuid4(), CredlyState.PENDING, "issued")
    BadgeHistory.objects.create(badge=row, what="re-check", outcome="asked for", actor="olga")
    shown = page(viewer, row.learner)
    assert shown.index("cycle 1") < shown.index("issued: pending at Credly") < shown.index("operator olga")
    assert "org.openedx.learning.badge.awarded.v1" in shown


def test_an_event_that_was_purged_is_named_and_not_linked(viewer):
    course_template()
    event = passes(lms_learner(), 1)
    deliver(event)
    Event.objects.all().delete()
    shown = page(viewer, Learner.objects.get())
    assert f"{event.id} (purged)" in shown
    assert reverse("admin:pipeline_event_change", args=[event.id]) not in shown
    assert "None is stored any more" in shown


def test_the_newest_events_are_shown_and_the_others_linked(viewer):
    course_template()
    who = lms_learner()
    events = [passes(who, minute) for minute in range(EVENTS_SHOWN + 1)]
    deliver(*events)
    shown = page(viewer, Learner.objects.get())
    everything = f"{reverse('admin:pipeline_event_changelist')}?lms_user_id__exact={who.id}"
    assert f"These are the newest {EVENTS_SHOWN}." in shown
    assert f'href="{everything}"' in shown
    assert str(events[1].id) in shown
    assert viewer.get(everything).context["cl"].result_count == len(events)


def test_active_templates_that_were_not_begun_are_listed_apart(viewer):
    course_template()
    template(name="Advanced Course")
    template(name="Draft Course", active=False)
    deliver(passes(lms_learner(), 1))
    shown = page(viewer, Learner.objects.get())
    assert "Not begun: 1 other active template." in shown
    assert "Advanced Course" in shown
    assert "Draft Course" not in shown


def test_what_comes_from_events_and_templates_is_shown_as_text_and_never_as_html(viewer):
    row = course_template(name="<b>Intro</b>")
    requirement(row, "math", PASSED, course(MATH))
    row.requirements.update(description="<i>pass</i>")
    deliver(passes(lms_learner("<u>Dana</u>"), 1))
    shown = page(viewer, Learner.objects.get())
    assert not [part for part in ("<b>Intro", "<i>pass", "<u>Dana") if part in shown]
    assert "&lt;b&gt;Intro&lt;/b&gt;" in shown


def test_name_and_email_are_not_in_the_title(viewer):
    who = learner(username="dana", email="dana@example.org", name="Dana Moe")
    shown = page(viewer, who)
    title = shown[shown.index("<title>") : shown.index("</title>")]
    assert not any(word in title.lower() for word in ("dana", "moe"))
    assert "dana@example.org" in shown


def test_the_page_takes_the_same_number_of_queries_for_one_template_and_for_fifty(viewer):
    few, many = lms_learner(), lms_learner()
    course_template()
    deliver(passes(few, 1))
    for number in range(50):
        row = template(name=f"Course {number}")
        requirement(row, "demo", PASSED, course(DEMO), group="A")
        requirement(row, "math", PASSED, course(MATH), group="A")
    deliver(passes(many, 1), passes(many, 2, MATH))
    for row in Badge.objects.all():
        holdings.held(claimed(row), uuid4(), CredlyState.PENDING, "issued")

    for_few, for_many = (queries_of(viewer, page_url(Learner.objects.get(lms_user_id=who.id))) for who in (few, many))
    assert for_many == for_few
    assert "Course 49" in page(viewer, Learner.objects.get(lms_user_id=many.id))


def test_a_learner_whose_templates_are_gone_still_has_a_page(viewer):
    assert "the templates it was made for are gone" in page(viewer, learner(as_of=at(0)))


def test_progress_is_found_by_username_email_or_lms_id(viewer):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1), passes(lms_learner(), 1))
    for search in (who.username, who.email, str(who.id)):
        shown = viewer.get(reverse("admin:pipeline_progress_changelist"), {"q": search})
        assert [row.learner.lms_user_id for row in shown.context["cl"].result_list] == [who.id]


def progress_rows(client: Client) -> list[str]:
    """The rows of the progress list, as text without tags."""
    shown = client.get(reverse("admin:pipeline_progress_changelist")).content.decode()
    rows = re.findall(r"<tr class=\"data-row.*?</tr>", shown, re.DOTALL)
    return [" ".join(strip_tags(row).split()) for row in rows]


def test_the_list_of_progress_says_how_far_it_is_and_what_became_of_the_badge(viewer):
    row = course_template(name="Half")
    requirement(row, "math", PASSED, course(MATH))
    course_template(name="Whole")
    deliver(passes(lms_learner(), 1))
    half, whole = sorted(progress_rows(viewer), key=lambda text: "Whole" in text)
    assert "Half" in half
    assert "1 of 2" in half
    assert half.endswith("- -")
    assert "1 of 1" in whole
    assert "awarded" in whole


def test_the_list_of_progress_takes_the_same_number_of_queries_however_long_it_is(viewer):
    course_template()
    deliver(passes(lms_learner(), 1))
    few = queries(viewer, Progress)
    course_template(name="Another")
    deliver(*(passes(lms_learner(), 1) for _number in range(5)))
    assert queries(viewer, Progress) == few


def test_the_page_of_a_progress_record_shows_what_decided_it_with_a_link_to_the_event(viewer):
    row = course_template()
    requirement(row, "math", PASSED, course(MATH))
    event = passes(lms_learner(), 1)
    deliver(event)
    shown = viewer.get(page_url(Progress.objects.get())).content.decode()
    assert reverse("admin:pipeline_event_change", args=[event.id]) in shown
    assert f"needs Course passed or failed: is_passing is true and course.course_key is “{MATH}”" in shown


def test_the_events_show_the_values_that_rules_compare_and_why_they_were_ignored(viewer):
    course_template()
    dana = lms_learner()
    deliver(passes(dana, 1))
    who = Learner.objects.get()
    inbox.finish(inbox.waiting(received(passes(dana, 2, MATH))), EventStatus.IGNORED)
    shown = page(viewer, who)
    assert "is_passing = true" in shown
    assert f"course.course_key = {MATH}" in shown
    assert "no requirement or penalty of an active template matched it" in shown


def test_an_open_requirement_shows_what_it_needs(viewer):
    course_template()
    who = lms_learner()
    deliver(passes(who, 1), fails(who, 2))
    assert f"needs Course passed or failed: is_passing is true and course.course_key is “{DEMO}”" in page(
        viewer, Learner.objects.get()
    )
