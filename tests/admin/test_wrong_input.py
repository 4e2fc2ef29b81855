"""Addresses and forms that no page of ours offers: every list answers, and says or shows that it can't follow."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tests.ledgers import builders

LISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)
JUNK = ["a\x00b", "abc", "", "99999999999999999999", "2026-13-45"]
OF_DJANGO = ["q", "o", "p", "all", "_popup", "_to_field", "id", "id__in", "pk__isnull", "no_such_field"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    """A list without rows has fewer filters."""
    row = builders.held_badge()
    builders.deliver(builders.passes(builders.lms_learner(), 1))
    builders.requirement(row.template, "more")


def list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def parameters(client: Client, name: str) -> list[str]:
    """All that the filters of a list read, and what any list reads."""
    shown = client.get(list_of(name)).context["cl"]
    of_filters = [parameter for spec in shown.filter_specs for parameter in spec.expected_parameters() if parameter]
    return [*OF_DJANGO, *of_filters]


def assert_answered(client: Client, response: Any) -> None:
    """A page, a refusal of a field that is none, or Django's way: the list without the filter."""
    if response.status_code == 302:
        assert parse_qs(urlsplit(response["Location"]).query) == {"e": ["1"]}
        response = client.get(response["Location"])
        assert response.status_code == 200
    assert response.status_code in (200, 400)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
@pytest.mark.parametrize("name", LISTS)
def test_a_list_answers_whatever_its_address_says(administrator: Client, name: str, junk: str):
    for parameter in parameters(administrator, name):
        assert_answered(administrator, administrator.get(list_of(name), {parameter: junk}))


@pytest.mark.parametrize("name", LISTS)
def test_a_nul_in_an_address_shows_the_list_without_filters(administrator: Client, name: str):
    response = administrator.get(list_of(name), {"q": "a\x00"})
    assert (response.status_code, response["Location"]) == (302, f"{list_of(name)}?e=1")


@pytest.mark.parametrize("selected", ["abc", "99999999999999999999", "a\nb"])
@pytest.mark.parametrize("name", LISTS)
def test_a_selection_that_can_be_no_row_is_told_and_does_nothing(administrator: Client, name: str, selected: str):
    offered = administrator.get(list_of(name)).context["action_form"]
    for action, _ in offered.fields["action"].choices if offered else ():
        for more in ({}, {"from_page": "1"}) if action else ():
            form = {"action": action, "_selected_action": [selected], "index": "0"} | more
            response = administrator.post(list_of(name), form, follow=True)
            assert "What was selected is no row of this list" in response.text


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
@pytest.mark.parametrize("kind", ["requirement", "penalty"])
def test_a_condition_is_added_to_no_template_that_can_not_be(administrator: Client, kind: str, junk: str):
    response = administrator.get(reverse(f"admin:pipeline_{kind}_add"), {"template": junk})
    assert "to which template?" in response.text


@pytest.mark.parametrize("name", LISTS)
def test_a_page_of_no_row_answers(administrator: Client, name: str):
    for junk in JUNK[:2]:
        response = administrator.get(reverse(f"admin:{name}_change", args=[junk]), follow=True)
        assert response.status_code == 200
