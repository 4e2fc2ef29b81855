"""Badge templates at the emulated Credly."""

import pytest

FORM = {
    "name": "Advanced Course",
    "description": "Finished the advanced course.",
    "image": {"remote_upload_url": "https://academy.example/badge.png"},
    "global_activity_url": "https://academy.example/advanced",
    "skills": ["Reading", "Writing", "Arithmetic"],
    "badge_template_activities": [{"activity_type": "Award", "title": "Pass", "activity_url": None}],
}


def test_a_template_has_what_open_edx_reads(academy):
    template = academy.call("GET", f"/badge_templates/{academy.template}").json()["data"]
    assert (template["name"], template["state"]) == ("Intro Course", "active")
    assert template["description"]
    assert template["image_url"] == template["image"]["url"]
    assert template["owner"]["id"] == academy.organization
    assert template["criterion_for"] == template["recommending_templates"] == []


def test_a_created_template_is_active_and_can_be_issued(academy):
    answer = academy.call("POST", "/badge_templates", json=FORM)
    assert answer.status_code == 201
    template = answer.json()["data"]
    assert answer.headers["Location"].endswith(f"/badge_templates/{template['id']}")
    assert (template["state"], template["image_url"]) == ("active", "https://academy.example/badge.png")
    assert academy.issue(badge_template_id=template["id"]).status_code == 201


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("image", None),
        ("global_activity_url", None),
        ("skills", ["Reading"]),
        ("badge_template_activities", []),
    ],
)
def test_an_incomplete_template_is_422(academy, name, value):
    answer = academy.call("POST", "/badge_templates", json=FORM | {name: value})
    assert answer.status_code == 422
    assert answer.json()["data"]["errors"][0]["attribute"] == name


def test_issuing_counts_on_the_template(academy):
    academy.issued()
    template = academy.call("GET", f"/badge_templates/{academy.template}").json()["data"]
    assert (template["badges_count"], template["get_issue_count"]) == (1, 1)


def test_a_changed_template_says_so(academy):
    path = f"/badge_templates/{academy.template}"
    answer = academy.call("PUT", path, json={"name": "New Name", "state": "archived"})
    assert answer.status_code == 200
    assert academy.call("GET", path).json()["data"] == answer.json()["data"]
    assert (answer.json()["data"]["name"], answer.json()["data"]["state"]) == ("New Name", "archived")


def test_a_deleted_template_is_gone_and_its_badges_stay(academy):
    badge = academy.issued()
    assert academy.call("DELETE", f"/badge_templates/{academy.template}").status_code == 204
    assert academy.call("GET", f"/badge_templates/{academy.template}").status_code == 404
    kept = academy.call("GET", f"/badges/{badge['id']}").json()["data"]
    assert kept["badge_template"]["id"] == academy.template


def test_a_granted_template_is_listed_with_its_foreign_owner_and_cannot_be_changed(emulator, academy):
    other = emulator.academy(template={"granted_to": [academy.organization]}, name="Other")
    seen = academy.call("GET", "/badge_templates").json()["data"]
    assert {template["owner"]["id"] for template in seen} == {academy.organization, other.organization}
    path = f"/badge_templates/{other.template}"
    assert academy.call("GET", path).status_code == 200
    assert academy.call("PUT", path, json={"name": "Mine"}).status_code == 404
    assert academy.call("DELETE", path).status_code == 404
