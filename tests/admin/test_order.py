"""What comes after what, on the pages of requirements."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from pipeline.models import Requirement, Template
from tests.admin.condition_pages import add, content, errors, form, page_of
from tests.ledgers.builders import course_template

AWARDED = "org.openedx.learning.badge.awarded.v1"
SILVER = ("template.uuid", "eq", "0f1e2d3c-4b5a-4678-9a0b-1c2d3e4f5a6b")

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """One that passing the demo course earns; active."""
    return course_template()


def errors_of_change(client: Client, row: Requirement, *rules: tuple[str, str, str], **fields: Any) -> dict[str, str]:
    """The errors by field of a change that is refused."""
    response = client.post(page_of(row), form(*rules, slug=row.slug, **fields))
    assert response.status_code == 200
    return {name: " ".join(texts) for name, texts in response.context["adminform"].form.errors.items()}


def test_requirements_that_come_after_each_other_are_refused(operator: Client, template: Template):
    [demo] = template.requirements.all()
    second = add(operator, template, after=demo.pk)
    response = operator.post(page_of(demo), form(slug="demo", after=second.pk))
    [words] = response.context["adminform"].form.errors["after"]
    assert words == "The requirements come after each other in a circle: demo after new after demo."


def test_a_requirement_of_another_template_or_itself_is_not_offered(operator: Client, template: Template):
    [demo] = template.requirements.all()
    [other] = course_template().requirements.all()
    offered = operator.get(page_of(demo)).context["adminform"].form.fields["after"].queryset
    assert list(offered) == []
    assert "after" in errors(operator, template, after=other.pk)


def test_a_new_requirement_in_a_template_without_order_closes_no_circle(operator: Client, template: Template):
    [demo] = template.requirements.all()
    assert add(operator, template, after=demo.pk).after == demo


def test_a_requirement_that_another_comes_after_stays(operator: Client, template: Template):
    [demo] = template.requirements.all()
    add(operator, template, after=demo.pk)
    page = content(operator.post(reverse("admin:pipeline_requirement_delete", args=[demo.pk]), {"post": "yes"}))
    assert "“new” comes after it. Remove that, or change it, first." in page
    assert Requirement.objects.filter(pk=demo.pk).exists()


def test_a_badge_that_comes_after_something_is_refused(operator: Client, template: Template):
    [demo] = template.requirements.all()
    found = errors(operator, template, SILVER, event_type=AWARDED, after=demo.pk)
    assert found.keys() == {"after"}
    assert found["after"].startswith("The time of a badge's event is when Credly had it")


def test_what_others_come_after_can_not_become_a_badge(operator: Client, template: Template):
    [demo] = template.requirements.all()
    add(operator, template, after=demo.pk)
    found = errors_of_change(operator, demo, SILVER, event_type=AWARDED)
    assert found.keys() == {"event_type"}
    assert found["event_type"].startswith("“new” comes after it: The time of a badge's event is when Credly had it")
    demo.refresh_from_db()
    assert demo.event_type != AWARDED


def test_what_ends_before_that_begins_which_it_comes_after_is_refused(operator: Client, template: Template):
    [demo] = template.requirements.all()
    Requirement.objects.update(counts_from=datetime(2026, 7, 1, tzinfo=UTC))
    found = errors(operator, template, after=demo.pk, counts_until="2026-06-30")
    assert found.keys() == {"after"}
    assert "“demo”" in found["after"]
    assert add(operator, template, after=demo.pk, counts_until="2026-07-01").after == demo


def test_what_others_come_after_can_not_begin_when_their_time_is_over(operator: Client, template: Template):
    [demo] = template.requirements.all()
    add(operator, template, after=demo.pk, counts_until="2026-06-30")
    found = errors_of_change(operator, demo, counts_from="2026-07-01")
    assert found.keys() == {"counts_from"}
    assert found["counts_from"].startswith("“new” comes after it: ")


def test_what_stands_between_two_can_not_join_them_when_the_time_of_the_last_is_over(
    operator: Client, template: Template
):
    [demo] = template.requirements.all()
    Requirement.objects.update(counts_from=datetime(2026, 7, 1, tzinfo=UTC))
    between = add(operator, template, slug="between")
    add(operator, template, after=between.pk, counts_until="2026-06-30")
    found = errors_of_change(operator, between, after=demo.pk)
    assert found.keys() == {"after"}
    assert "“new” comes after it: " in found["after"]


def test_what_is_wrong_elsewhere_in_the_template_keeps_nobody_from_saving(operator: Client, template: Template):
    [demo] = template.requirements.all()
    add(operator, template, after=demo.pk)
    Requirement.objects.filter(slug="demo").update(event_type=AWARDED)
    assert add(operator, template, slug="another").slug == "another"
