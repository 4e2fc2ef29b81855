"""Operators, counting, spans of time, order and badges per value in the admin: forms, lists and pages."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from pipeline.admin.conditions import RequirementAdmin
from pipeline.models import ConfigurationVersion, Occurrence, Operator, Requirement, Template
from pipeline.models.configuration import MOST_COUNTED
from tests.admin.condition_pages import Rule, add, addition, content, errors, form, page_of
from tests.admin.pages import act, told
from tests.ledgers import builders
from tests.ledgers.builders import (
    DEMO,
    MATH,
    PASSED,
    course_template,
    requirement,
)

COURSE = "course.course_key"
AWARDED = "org.openedx.learning.badge.awarded.v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """One that passing the demo course earns and failing it takes back; inactive."""
    return course_template(active=False)


# What can be entered


def test_a_requirement_keeps_everything_that_is_entered(operator: Client, template: Template):
    [demo] = template.requirements.all()
    row = add(
        operator,
        template,
        PASSED,
        count="5",
        distinct=COURSE,
        within="90d",
        counts_from="2026-03-01",
        counts_until="2026-06-30",
        after=demo.pk,
    )
    assert (row.count, row.distinct, row.within, row.after) == (5, COURSE, timedelta(days=90), demo)
    assert (row.counts_from, row.counts_until) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


def test_the_page_shows_spans_and_dates_as_they_were_entered_and_saving_it_changes_nothing(
    operator: Client, template: Template
):
    written = {"within": "36h", "counts_from": "2026-03-01T12:00:00+01:00", "counts_until": "2026-06-30"}
    row = add(operator, template, count="2", **written)
    before = Requirement.objects.values().get(pk=row.pk)
    shown = operator.get(page_of(row)).context["adminform"].form
    values = {name: shown[name].value() for name in written}
    assert values == {"within": "36h", "counts_from": "2026-03-01T11:00:00+00:00", "counts_until": "2026-06-30"}
    response = operator.post(page_of(row), form(count="2", **values))
    assert (response.status_code, Requirement.objects.values().get(pk=row.pk)) == (302, before)


def test_a_requirement_without_any_of_it_asks_for_one_event(operator: Client, template: Template):
    row = add(operator, template)
    assert (row.count, row.distinct, row.within, row.counts_from, row.after) == (1, "", None, None, None)


def test_what_goes_beyond_one_event_is_folded_up_until_it_is_used(operator: Client, template: Template):
    [demo] = template.requirements.all()
    more = "More than one event, time, order"
    assert re.search(rf"<details><summary>\s*<[^<]*{more}", content(operator.get(page_of(demo))))
    Requirement.objects.update(count=2)
    page = content(operator.get(page_of(demo)))
    assert more in page
    assert not re.search(rf"<details><summary>\s*<[^<]*{more}", page)


def test_it_is_unfolded_where_something_in_it_is_wrong(operator: Client, template: Template):
    page = content(operator.post(addition("requirement", template), form(within="soon")))
    assert not re.search(r"<details><summary>\s*<[^<]*More than one event", page)


@pytest.mark.parametrize("named", ["in", "not_in"])
def test_lists_have_a_value_on_each_line(operator: Client, template: Template, named: str):
    row = add(operator, template, (COURSE, named, f" {DEMO} \r\n\r\n{MATH}\r\n"))
    assert row.rules.get().value == f"{DEMO}\n{MATH}"
    assert f"{DEMO}\n{MATH}</textarea>" in content(operator.get(page_of(row)))


@pytest.mark.parametrize("named", ["contains", "starts_with", "matches"])
def test_spaces_around_a_value_stay_where_they_mean_something(operator: Client, template: Template, named: str):
    row = add(operator, template, ("course.display_name", named, " Intro "))
    assert row.rules.get().value == " Intro "
    [shown] = operator.get(page_of(row)).context["inline_admin_formsets"][0].formset.initial_forms
    stored = {"rules-INITIAL_FORMS": 1, "rules-0-id": row.rules.get().pk}
    posted = form(("course.display_name", "contains", shown["value"].value()), **stored)
    assert operator.post(page_of(row), posted | {"rules-INITIAL_FORMS": 1}).status_code == 302
    assert str(row.rules.get()) == "course.display_name contains  Intro "


def test_spaces_around_a_value_that_must_be_equal_go(operator: Client, template: Template):
    assert add(operator, template, (COURSE, "eq", f" {DEMO} ")).rules.get().value == DEMO


@pytest.mark.parametrize("named", ["contains", "eq", "in"])
def test_spaces_alone_are_no_value(operator: Client, template: Template, named: str):
    found = errors(operator, template, ("course.display_name", named, "  \r\n "))
    assert found.keys() == {"rule value"}
    assert found["rule value"].startswith("Enter a value;")


def test_a_time_without_a_zone_that_must_be_equal_is_kept_as_one_of_utc(operator: Client, template: Template):
    row = add(operator, template, ("course.start", "eq", "2026-05-01T00:00:00"))
    assert row.rules.get().value == "2026-05-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "rule",
    [
        ("course.start", "lt", "2026-05-01T00:00:00Z"),
        (COURSE, "matches", "course-v1:OpenedX[+].*"),
        (COURSE, "contains", "+2026"),
        (COURSE, "starts_with", "course-v1:"),
        ("course.end", "exists", "false"),
    ],
)
def test_each_operator_can_be_chosen(operator: Client, template: Template, rule: Rule):
    stored = add(operator, template, rule).rules.get()
    assert (stored.data_path, stored.operator, stored.value) == rule


def test_the_script_is_told_which_operators_fit_which_type(operator: Client, template: Template):
    page = content(operator.get(addition("requirement", template)))
    [data] = re.findall(r'<script id="rules-editor" type="application/json">(.*?)</script>', page)
    known = json.loads(data)
    assert known["operators"]["boolean"] == ["eq", "ne", "exists"]
    assert "gt" in known["operators"]["integer"]
    assert "gt" not in known["operators"]["course key"]
    assert known["labels"].keys() == set(Operator.values)


# What is refused, in words at its field


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"count": "0"}, "count", "greater than or equal to 1"),
        ({"count": str(MOST_COUNTED + 1)}, "count", "less than or equal to 1000"),
        ({"count": "many"}, "count", "Enter a whole number."),
        (
            {"count": "5", "distinct": "course.color"},
            "distinct",
            "“course.color” is no key path of “Course passed or failed”.",
        ),
        ({"distinct": "course.start"}, "distinct", "“course.start” is a time"),
        ({"within": "90d"}, "within", "With a count of 1 this has no meaning"),
        ({"count": "2", "within": "soon"}, "within", "“soon” is no length of time."),
        ({"counts_from": "1 March"}, "counts_from", "“1 March” is neither a date such as"),
        ({"counts_from": "2026-03-01T12:00"}, "counts_from", "has no time zone"),
        ({"counts_from": "2026-03-01", "counts_until": "2026-02-01"}, "counts_until", "not later than the beginning"),
        ({"after": "999"}, "after", "Choose another requirement of this template."),
    ],
)
def test_what_has_no_meaning_is_refused_at_its_field(
    operator: Client, template: Template, fields: dict[str, str], field: str, words: str
):
    found = errors(operator, template, PASSED, **fields)
    assert found.keys() == {field}
    assert words in found[field]


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        (
            ("is_passing", "gt", "true"),
            "operator",
            "“gt” is no operator for a value of the type boolean. Allowed: eq, ne",
        ),
        ((COURSE, "ge", "x"), "operator", "“ge” is no operator for a value of the type course key."),
        (("course.start", "gt", "May"), "value", "“May” does not fit"),
        ((COURSE, "in", f"{DEMO}\nmath"), "value", "“math” does not fit"),
        ((COURSE, "matches", "(["), "value", "“([” is not a regular expression"),
        ((COURSE, "exists", "perhaps"), "value", "“perhaps” says neither"),
        ((COURSE, "eq", f"{DEMO}\n{MATH}"), "value", "Several, each on a line, are for “is one of”"),
    ],
)
def test_a_rule_that_does_not_fit_its_path_is_refused_at_its_field(
    operator: Client, template: Template, rule: Rule, field: str, words: str
):
    found = errors(operator, template, rule)
    assert found.keys() == {f"rule {field}"}
    assert words.replace("“([” is", "'([' is") in found[f"rule {field}"]


def test_rules_that_let_too_few_values_through_are_refused(operator: Client, template: Template):
    found = errors(operator, template, PASSED, (COURSE, "in", f"{DEMO}\n{MATH}"), count="3", distinct=COURSE)
    assert found == {"rules": f"No more than 2 different values of {COURSE} can match."}


def test_badges_that_need_each_other_are_refused(operator: Client, template: Template):
    [demo] = template.requirements.all()
    other = builders.template(name="Other")
    requirement(other, "has", ("template.uuid", "eq", str(template.uuid)), type=AWARDED)
    found = errors(operator, template, ("template.uuid", "eq", str(other.uuid)), event_type=AWARDED)
    assert found["rules"].endswith("none is ever awarded: Intro Course → Other → Intro Course.")
    assert demo.template.requirements.count() == 1


def test_a_badge_of_any_template_is_no_requirement(operator: Client, template: Template):
    assert "needs a rule that says whose badge" in errors(operator, template, event_type=AWARDED)["rules"]


# One badge for each value


def test_a_template_has_one_badge_for_each_value(operator: Client, template: Template):
    response = operator.post(page_of(template), {"name": template.name, "per": COURSE})
    assert response.status_code == 302
    template.refresh_from_db()
    assert template.per == COURSE


@pytest.mark.parametrize(
    ("per", "allows_duplicates", "words"),
    [
        ("course.color", True, "“course.color” is no key path of “Course passed or failed”."),
        (COURSE, False, "Credly lets a learner hold this badge only once."),
    ],
)
def test_what_can_not_be_one_badge_for_each_is_refused(
    operator: Client, template: Template, per: str, allows_duplicates: bool, words: str
):
    Template.objects.update(synced_at=timezone.now(), allows_duplicates=allows_duplicates)
    response = operator.post(page_of(template), {"per": per})
    assert words in " ".join(response.context["adminform"].form.errors["per"])


@pytest.mark.parametrize(("stored", "per"), [("", COURSE), (COURSE, ""), (COURSE, "course.display_name")])
def test_what_there_is_a_badge_for_stays_once_learners_go_by_it(
    operator: Client, template: Template, stored: str, per: str
):
    Template.objects.update(per=stored)
    badge = builders.badge(template=template)
    response = operator.post(page_of(template), {"name": template.name, "per": per})
    [words] = response.context["adminform"].form.errors["per"]
    assert words.startswith("Learners have progress or badges of this template, with one badge ")
    assert "make a new template" in words
    assert operator.post(page_of(template), {"name": template.name, "per": stored, "reaward": "on"}).status_code == 302
    badge.delete()
    assert operator.post(page_of(template), {"name": template.name, "per": per}).status_code == 302
    template.refresh_from_db()
    assert (template.per, template.reaward) == (per, False)


def test_a_badge_for_each_value_of_what_must_differ_is_refused(operator: Client, template: Template):
    template.requirements.update(count=2, distinct=COURSE)
    response = operator.post(page_of(template), {"name": template.name, "per": COURSE})
    assert "“demo” asks for events that differ in course.course_key" in str(
        response.context["adminform"].form.errors["per"]
    )


def test_an_event_type_without_the_value_is_refused_there(operator: Client, template: Template):
    Template.objects.update(per="course.ccx_course_key")
    found = errors(operator, template)
    assert found.keys() == {"event_type"}
    assert found["event_type"].startswith("The template awards one badge for each value of course.ccx_course_key.")


def test_duplicates_at_credly_are_no_warning_where_they_are_needed(operator: Client, template: Template):
    Template.objects.update(allows_duplicates=True)
    warning = "At Credly this template allows duplicates"
    assert warning in content(operator.get(page_of(template)))
    Template.objects.update(per=COURSE)
    assert warning not in content(operator.get(page_of(template)))


def test_a_viewer_sees_all_of_it_and_changes_none(viewer: Client, template: Template):
    template.requirements.update(count=5, distinct=COURSE, within=timedelta(days=90))
    Template.objects.update(per="course.display_name")
    [demo] = template.requirements.all()
    page = content(viewer.get(page_of(demo)))
    assert "Of different" in page
    assert COURSE in page
    assert "course.display_name" in content(viewer.get(page_of(template)))
    assert viewer.post(page_of(demo), form(count="1")).status_code == 403


@pytest.mark.parametrize(
    ("changes", "left"),
    [({"count": "2"}, 1), ({"distinct": "course.display_name"}, 0), ({"rules-0-operator": "ne"}, 0)],
)
def test_what_was_counted_is_forgotten_when_something_else_counts(
    operator: Client, template: Template, changes: dict[str, str], left: int
):
    row = add(operator, template, PASSED, count="3", distinct=COURSE)
    Template.objects.filter(pk=template.pk).update(active=True)
    ConfigurationVersion.renew()
    builders.deliver(builders.passes(builders.lms_learner(), 1))
    assert Occurrence.objects.filter(requirement=row).count() == 1
    same = form(PASSED, slug="new", count="3", distinct=COURSE)
    same |= {"rules-INITIAL_FORMS": 1, "rules-0-id": row.rules.get().pk}
    assert operator.post(page_of(row), same | changes).status_code == 302
    assert Occurrence.objects.filter(requirement=row).count() == left


def test_it_is_told_for_how_many_learners_what_was_counted_is_forgotten(operator: Client, template: Template):
    row = add(operator, template, PASSED, count="3", distinct=COURSE)
    Template.objects.filter(pk=template.pk).update(active=True)
    ConfigurationVersion.renew()
    builders.deliver(*[builders.passes(builders.lms_learner(), 1) for _learner in range(2)])
    assert "What a requirement has counted so far is forgotten" in content(operator.get(page_of(row)))
    changed = form(PASSED, slug="new", count="3", distinct="course.display_name")
    changed |= {"rules-INITIAL_FORMS": 1, "rules-0-id": row.rules.get().pk}
    forgotten = "“new” counts anew: what it had counted for 2 learners is forgotten."
    assert forgotten in told(operator.post(page_of(row), changed, follow=True))
    assert forgotten not in told(operator.post(page_of(row), changed, follow=True))


@pytest.mark.parametrize("several", [True, False])
def test_it_is_told_too_where_nothing_comes_after_a_requirement_any_more(
    operator: Client, template: Template, several: bool
):
    [demo] = template.requirements.all()
    row = add(operator, template, PASSED, after=demo.pk)
    Template.objects.filter(pk=template.pk).update(active=True)
    ConfigurationVersion.renew()
    builders.deliver(builders.passes(builders.lms_learner(), 1))
    if several:
        response = act(operator, "delete_selected", [row], post="yes")
    else:
        url = reverse("admin:pipeline_requirement_delete", args=[row.pk])
        response = operator.post(url, {"post": "yes"}, follow=True)
    assert "“demo” counts anew: what it had counted for 1 learner is forgotten." in told(response)


LIMITS = ["1970-01-01", "1970-01-01T00:00:00Z", "1970-01-02", "1970-01-01T00:00+14:00", "1970-01-01T14:00+14:00"]
LIMITS += ["9998-12-31", "9998-12-31T23:59-14:00", "9999-01-01", "9999-01-01T00:00:00Z", "9999-01-02"]
LIMITS += ["0001-01-01", "0001-01-01T00:00+14:00", "9999-12-31", "9999-12-31T23:59-14:00"]


@pytest.mark.parametrize("field", ["counts_from", "counts_until"])
@pytest.mark.parametrize("text", LIMITS)
def test_every_limit_that_is_accepted_is_shown_as_it_is_accepted_again(
    operator: Client, template: Template, field: str, text: str
):
    response = operator.post(addition("requirement", template), form(**{field: text}))
    if response.status_code == 200:
        assert "is not between" in response.context["adminform"].form.errors[field][0]
        return
    row = Requirement.objects.get(slug="new")
    shown = operator.get(page_of(row)).context["adminform"].form[field].value()
    assert operator.post(page_of(row), form(**{field: shown})).status_code == 302
    assert getattr(Requirement.objects.get(slug="new"), field) == getattr(row, field)


def test_a_limit_of_any_year_can_be_shown(operator: Client, template: Template):
    [demo] = template.requirements.all()
    for year in (1969, 9999):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        Requirement.objects.update(counts_from=moment, counts_until=moment)
        content(operator.get(page_of(demo)))


def test_saving_a_requirement_does_not_bring_back_what_a_change_meanwhile_made_count_no_more(
    operator: Client, template: Template, monkeypatch: pytest.MonkeyPatch
):
    row = add(operator, template, PASSED, count="3", distinct=COURSE)
    read = RequirementAdmin.get_object

    def meanwhile(*args: Any, **given: Any) -> Any:
        found = read(*args, **given)
        Requirement.objects.filter(pk=row.pk).update(begun_anew=7)
        return found

    monkeypatch.setattr(RequirementAdmin, "get_object", meanwhile)
    same = form(PASSED, slug="new", count="4", distinct=COURSE)
    same |= {"rules-INITIAL_FORMS": 1, "rules-0-id": row.rules.get().pk}
    assert operator.post(page_of(row), same).status_code == 302
    row.refresh_from_db()
    assert (row.count, row.begun_anew) == (4, 7)
