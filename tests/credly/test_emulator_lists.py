"""Filter, sort and paging at the emulated Credly."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests


@pytest.fixture
def people(academy):
    """Three badges: a, b (accepted) and c, issued on the first, second and third of May."""
    return {
        name: academy.issued(
            recipient_email=f"{name}+x@learners.example",
            issuer_earner_id=str(day),
            issued_to_first_name=name.upper(),
            issued_at=f"2026-05-0{day} 12:00:00 +0000",
        )
        for day, name in enumerate("abc", start=1)
    }


def found(academy, query):
    answer = academy.call("GET", f"/badges?{query}")
    assert answer.status_code == 200, answer.text
    return "".join(badge["issued_to_first_name"] for badge in answer.json()["data"]).lower()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "abc"),
        ("filter=issuer_earner_id::2", "b"),
        ("filter=issuer_earner_id%3A%3A2", "b"),
        ("filter[issuer_earner_id]=2", "b"),
        ("filter%5Bissuer_earner_id%5D=2", "b"),
        ("filter=issuer_earner_id::1,3", "ac"),
        ("filter=recipient_email::a%2Bx@learners.example", "a"),
        ("filter=recipient_email::A%2BX%40LEARNERS.example", "a"),
        ("filter=recipient_email::a+x@learners.example", ""),
        ("filter=recipient_email_all::a%2Bx@learners.example", "a"),
        ("filter=recipient_email::a%2Bx@learners.example|issuer_earner_id::2", ""),
        ("filter=state::pending|issuer_earner_id::3", "c"),
        ("filter=state::pending%7Cissuer_earner_id::3", "c"),
        ("filter[state]=pending&filter[issuer_earner_id]=3", "c"),
        ("filter=state::pending,accepted", "abc"),
        ("filter=state::accepted", "b"),
        ("filter=public::true", "abc"),
        ("filter=public::false", ""),
        ("filter=query::b%20moe", "b"),
        ("filter=issued_at_date_min::2026-05-02", "bc"),
        ("filter=issued_at_date_max::2026-05-02", "ab"),
        ("filter=badge_template_id::00000000-0000-4000-8000-000000000000", ""),
        ("filter=no_such_key::1", "abc"),
        ("sort=-issued_at", "cba"),
        ("sort=issued_at", "abc"),
        ("sort=-no_such_key", "abc"),
        ("page=9", ""),
    ],
)
def test_badges_are_found_by_filter_and_sort(emulator, academy, people, query, names):
    emulator.control("POST", f"badges/{people['b']['id']}/accept")
    assert found(academy, query) == names


def test_badges_are_found_by_template_and_reporting_tag(emulator, academy, people):
    given = {"organization": academy.organization, "name": "Tagged", "reporting_tags": ["2026"]}
    tagged = emulator.control("POST", "templates", given)["id"]
    academy.issued(badge_template_id=tagged, issued_to_first_name="T")
    assert found(academy, f"filter=badge_template_id::{tagged}") == "t"
    assert found(academy, f"filter=badge_template_id::{tagged},{academy.template}") == "abct"
    assert found(academy, "filter=badge_templates[reporting_tags]::2026") == "t"
    assert found(academy, "filter[badge_templates][reporting_tags]=2026") == "t"


def test_a_switch_refuses_unknown_filter_keys(emulator, academy):
    emulator.switch(unknown_filter_keys="reject")
    assert academy.call("GET", "/badges?filter=no_such_key::1").status_code == 400


def test_other_organizations_badges_are_never_listed(emulator, academy, people):
    other = emulator.academy(name="Other")
    assert found(other, "") == ""
    assert found(other, "filter=issuer_earner_id::2") == ""


@pytest.fixture
def templates(emulator, academy):
    emulator.control("POST", "reset")
    academy = emulator.academy(template={"name": "Alpha", "description": "First steps"})
    for name, state in (("Beta", "draft"), ("Alphabet", "archived")):
        given = {"organization": academy.organization, "name": name, "state": state, "skills": [name]}
        emulator.control("POST", "templates", given)
    return academy


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Alpha", "Beta", "Alphabet"]),
        ("filter=state::active", ["Alpha"]),
        ("filter=state::archived,draft", ["Beta", "Alphabet"]),
        ("filter=name::alpha", ["Alpha", "Alphabet"]),
        ("filter=name::%22Alpha%22", ["Alpha"]),
        ("filter=query::steps", ["Alpha"]),
        ("filter=skills::Beta,Alphabet", ["Beta", "Alphabet"]),
        ("sort=name", ["Alpha", "Alphabet", "Beta"]),
        ("sort=-name|created_at", ["Beta", "Alphabet", "Alpha"]),
        ("filter=created_at_max::2000-01-01", []),
        ("filter=created_at_min::2000-01-01|state::draft", ["Beta"]),
    ],
)
def test_templates_are_found_by_filter_and_sort(templates, query, names):
    answer = templates.call("GET", f"/badge_templates/?{query}").json()
    assert [template["name"] for template in answer["data"]] == names


def test_a_list_comes_in_pages_of_fifty(emulator, academy):
    for number in range(50):
        given = {"organization": academy.organization, "name": f"Template {number}"}
        emulator.control("POST", "templates", given)
    first = academy.call("GET", "/badge_templates?filter=state::active&sort=name").json()
    address = first["metadata"].pop("next_page_url")
    assert first["metadata"] == {
        "count": 50,
        "current_page": 1,
        "total_count": 51,
        "total_pages": 2,
        "per": 50,
        "previous_page_url": None,
    }
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == emulator.url
    assert parts.path.startswith("/v1/organizations/")
    assert parse_qs(parts.query) == {"filter": ["state::active"], "sort": ["name"], "page": ["2"]}
    second = requests.get(address, auth=(academy.key, ""), timeout=20).json()
    assert second["metadata"]["next_page_url"] is None
    assert "page=1" in second["metadata"]["previous_page_url"]
    assert len({item["id"] for item in first["data"] + second["data"]}) == 51


def test_the_next_address_names_one_page_only(emulator, academy, people):
    emulator.switch(page_size=1)
    metadata = academy.call("GET", "/badges?page=2").json()["metadata"]
    addresses = metadata["previous_page_url"], metadata["next_page_url"]
    assert [parse_qs(urlsplit(address).query)["page"] for address in addresses] == [["1"], ["3"]]


def test_switches_drop_the_query_from_the_next_address_and_move_it_under_api(emulator, academy, people):
    emulator.switch(page_size=1, next_page_keeps_query=False, next_page_under_api=True)
    query = quote("state::pending", safe="")
    address = academy.call("GET", f"/badges?filter={query}").json()["metadata"]["next_page_url"]
    assert address == f"{emulator.url}/api/v1/organizations/{academy.organization}/badges?page=2"
    assert requests.get(address, auth=(academy.key, ""), timeout=20).json()["metadata"]["count"] == 1


@pytest.mark.parametrize("pages", [0, 1])
def test_an_empty_list_has_none_or_one_page_by_switch(emulator, academy, pages):
    emulator.switch(empty_list_total_pages=pages)
    answer = academy.call("GET", "/badges").json()
    assert answer["data"] == []
    assert (answer["metadata"]["total_pages"], answer["metadata"]["next_page_url"]) == (pages, None)


def test_a_page_that_is_no_number_is_400(academy):
    assert academy.call("GET", "/badges?page=two").status_code == 400


def test_the_bulk_search_pages_by_address_alone(emulator, academy, people):
    emulator.switch(page_size=2)
    first = academy.call("GET", "/high_volume_issued_badge_search?badge_format=minimal").json()
    assert list(first["metadata"]) == ["next_page_url"]
    assert first["data"][0]["badge_template"] == {"id": academy.template, "name": "Intro Course"}
    assert "issuer" not in first["data"][0]
    second = requests.get(first["metadata"]["next_page_url"], auth=(academy.key, ""), timeout=20).json()
    assert (len(second["data"]), second["metadata"]) == (1, {"next_page_url": None})
