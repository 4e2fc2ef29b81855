"""Issuing, finding, revoking, replacing and deleting badges at the emulated Credly."""

import re

import pytest


def test_issuing_answers_201_with_the_whole_pending_badge(emulator, academy):
    answer = academy.issue()
    assert answer.status_code == 201
    badge = answer.json()["data"]
    assert answer.headers["Location"].endswith(f"/v1/organizations/{academy.organization}/badges/{badge['id']}")
    assert answer.json()["metadata"] == {}
    assert badge["state"] == "pending"
    assert badge["issued_at"] == "2026-02-03T08:15:00.000Z"
    assert badge["issued_at_date"] == "2026-02-03"
    assert badge["issued_to"] == "Dana Moe"
    assert badge["state_updated_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", badge["created_at"])
    assert badge["accept_badge_url"].endswith("/accept")
    assert "badge_url" not in badge
    assert badge["badge_template"]["id"] == academy.template
    assert badge["badge_template"]["badges_count"] == 1
    assert "reporting_tags" not in badge["badge_template"]
    [row] = emulator.ledger(organization=academy.organization)
    assert (row["id"], row["state"], row["recipient_email"]) == (
        badge["id"],
        "pending",
        "dana@learners.example",
    )
    assert (row["template"], row["issuer_earner_id"]) == (academy.template, "4711")


@pytest.mark.parametrize(
    "name",
    ["recipient_email", "issued_to_first_name", "issued_to_last_name", "badge_template_id", "issued_at"],
)
def test_a_missing_field_is_422_and_names_it(emulator, academy, name):
    answer = academy.issue(**{name: None})
    assert answer.status_code == 422
    [error] = answer.json()["data"]["errors"]
    assert (error["attribute"], error["messages"]) == (name, ["can't be blank"])
    assert answer.json()["data"]["message"].startswith("Validation failed: ")
    assert emulator.ledger() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipient_email", "nobody"),
        ("locale", "xx"),
        ("issued_at", "yesterday"),
        ("expires_at", "never"),
        ("evidence", "a link"),
        ("duplicate_behavior", "perhaps"),
    ],
)
def test_a_bad_value_is_422_and_names_its_field(emulator, academy, field, value):
    answer = academy.issue(**{field: value})
    assert answer.status_code == 422
    assert answer.json()["data"]["errors"][0]["attribute"] == field
    assert emulator.ledger() == []


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-03 09:15:00 +0100",
        "2026-02-03T08:15:00.000Z",
        "2026-02-03T09:15:00+01:00",
        "2026-02-03T08:15:00 Z",
        "2026-02-03  08:15:00 am",
        "2026-02-03 08:15:00",
        "2026-02-03 08:15:00 UTC",
    ],
)
def test_issued_at_is_read_leniently(academy, written):
    assert academy.issued(issued_at=written)["issued_at"] == "2026-02-03T08:15:00.000Z"


@pytest.mark.parametrize(
    ("given", "expires"),
    [
        ({}, "2030-01-01T00:00:00.000Z"),
        ({"expires_at": None}, "2030-01-01T00:00:00.000Z"),
        ({"expires_at": False}, None),
        ({"expires_at": "2027-01-01 00:00:00 +0000"}, "2027-01-01T00:00:00.000Z"),
    ],
)
def test_expires_at_is_the_templates_or_never_or_a_time(emulator, given, expires):
    academy = emulator.academy(template={"default_expires_at": "2030-01-01T00:00:00Z"})
    assert academy.issued(**given)["expires_at"] == expires


@pytest.mark.parametrize(
    ("second", "attribute"),
    [
        ({"issuer_earner_id": "other"}, "recipient_email"),
        ({"recipient_email": "DANA@learners.example", "issuer_earner_id": None}, "recipient_email"),
        ({"recipient_email": "else@learners.example"}, "issuer_earner_id"),
        ({"recipient_email": "dana@home.example", "issuer_earner_id": "other"}, "user_id"),
    ],
)
def test_the_same_learner_is_a_duplicate_by_any_of_three_criteria(emulator, academy, second, attribute):
    emulator.control("POST", "users", {"emails": ["dana@learners.example", "dana@home.example"]})
    academy.issued()
    answer = academy.issue(**second)
    assert answer.status_code == 422
    assert "already has this badge" in answer.json()["data"]["message"]
    assert answer.json()["data"]["errors"][0]["attribute"] == attribute
    assert len(emulator.ledger()) == 1


def test_learners_without_an_earner_id_do_not_collide(emulator, academy):
    academy.issued(issuer_earner_id=None)
    academy.issued(issuer_earner_id=None, recipient_email="else@learners.example")
    assert len(emulator.ledger()) == 2


def test_another_template_is_no_duplicate(emulator, academy):
    other = emulator.control("POST", "templates", {"organization": academy.organization, "name": "Other"})
    academy.issued()
    academy.issued(badge_template_id=other["id"])
    assert len(emulator.ledger()) == 2


def test_a_template_may_allow_duplicates(emulator):
    academy = emulator.academy(template={"allow_duplicate_badges": True})
    academy.issued()
    academy.issued()
    assert len(emulator.ledger()) == 2


def test_duplicate_behavior_allow_issues_a_second_badge(emulator, academy):
    academy.issued()
    academy.issued(duplicate_behavior="allow")
    assert len(emulator.ledger()) == 2


def test_duplicate_behavior_deny_is_422(academy):
    academy.issued()
    assert academy.issue(duplicate_behavior="deny").status_code == 422


def test_duplicate_behavior_replace_supersedes_but_keeps_the_date(emulator, academy):
    old = academy.issued(country_name="Norway")
    new = academy.issued(
        duplicate_behavior="replace", issued_to_last_name="Berg", issued_at="2026-05-05 00:00:00 +0000"
    )
    assert (new["replaces_badge_id"], new["issued_at"]) == (old["id"], old["issued_at"])
    assert (new["issued_to_last_name"], new["country"]) == ("Berg", None)
    assert {row["state"] for row in emulator.ledger()} == {"pending", "replaced"}


def test_duplicate_behavior_replace_with_the_same_data_changes_nothing(emulator, academy):
    old = academy.issued()
    assert academy.issued(duplicate_behavior="replace")["id"] == old["id"]
    assert len(emulator.ledger()) == 1


@pytest.mark.parametrize("ended", ["revoked", "rejected"])
def test_an_ended_badge_does_not_block_the_next_unless_switched(emulator, academy, ended):
    badge = academy.issued()
    if ended == "revoked":
        academy.call("PUT", f"/badges/{badge['id']}/revoke", json={"reason": "x"})
    else:
        emulator.control("POST", f"badges/{badge['id']}/reject")
    emulator.switch(duplicate_states=["pending", "accepted", ended])
    assert academy.issue().status_code == 422
    emulator.switch(duplicate_states=["pending", "accepted"])
    assert academy.issue().status_code == 201


@pytest.mark.parametrize("state", ["archived", "draft"])
def test_only_an_active_template_can_be_issued(emulator, academy, state):
    emulator.control("POST", f"templates/{academy.template}/state", {"state": state})
    answer = academy.issue()
    assert answer.status_code == 422
    assert answer.json()["data"]["errors"][0] == {
        "attribute": "badge_template",
        "attribute_label": "Badge template",
        "messages": [f"is {state}"],
    }


def test_a_template_of_another_organization_is_404_or_422_by_switch(emulator, academy):
    other = emulator.academy(name="Other")
    assert academy.issue(badge_template_id=other.template).status_code == 404
    emulator.switch(unknown_template_status=422)
    assert academy.issue(badge_template_id=other.template).status_code == 422


def test_a_granted_template_can_be_issued_by_the_other_organization(emulator, academy):
    other = emulator.academy(template={"granted_to": [academy.organization]}, name="Other")
    badge = academy.issued(badge_template_id=other.template)
    assert badge["badge_template"]["owner"]["id"] == other.organization
    assert badge["issuer"]["entities"][0]["entity"]["id"] == academy.organization


@pytest.mark.parametrize("form", ["data", "params", "files"])
def test_forms_and_query_parameters_are_read_like_json(academy, form):
    fields = academy.form()
    if form == "files":
        fields = {name: (None, value) for name, value in fields.items()}
    answer = academy.call("POST", "/badges", **{form: fields})
    assert answer.status_code == 201
    assert answer.json()["data"]["recipient_email"] == "dana@learners.example"


@pytest.mark.parametrize("body", ["{", "[]", "3", "\xff"])
def test_a_malformed_body_is_400(academy, body):
    headers = {"Content-Type": "application/json"}
    assert academy.call("POST", "/badges", data=body.encode("latin-1"), headers=headers).status_code == 400


def test_one_badge_is_found_by_its_id_and_by_no_other_organization(emulator, academy):
    badge = academy.issued()
    assert academy.call("GET", f"/badges/{badge['id']}").json()["data"] == badge
    assert emulator.academy(name="Other").call("GET", f"/badges/{badge['id']}").status_code == 404


def test_revoking_ends_the_badge_and_keeps_the_reason(emulator, academy):
    badge = academy.issued()
    answer = academy.call("PUT", f"/badges/{badge['id']}/revoke/", json={"reason": "Withdrawn"})
    assert answer.status_code == 200
    revoked = answer.json()["data"]
    assert (revoked["state"], revoked["revocation_reason"]) == ("revoked", "Withdrawn")
    assert revoked["state_updated_at"] == revoked["updated_at"]
    assert not {"badge_url", "accept_badge_url"} & set(revoked)
    assert emulator.ledger()[0]["state"] == "revoked"


def test_revoking_needs_a_reason(emulator, academy):
    badge = academy.issued()
    assert academy.call("PUT", f"/badges/{badge['id']}/revoke", json={}).status_code == 422
    assert emulator.ledger()[0]["state"] == "pending"


def test_revoking_twice_is_422_unless_switched(emulator, academy):
    path = f"/badges/{academy.issued()['id']}/revoke"
    academy.call("PUT", path, json={"reason": "first"})
    assert academy.call("PUT", path, json={"reason": "second"}).status_code == 422
    emulator.switch(revocable_states=["pending", "accepted", "revoked"])
    answer = academy.call("PUT", path, json={"reason": "third"})
    assert (answer.status_code, answer.json()["data"]["revocation_reason"]) == (200, "first")


@pytest.mark.parametrize("state", ["pending", "accepted"])
def test_a_replacement_keeps_the_state_and_points_both_ways(emulator, academy, state):
    old = academy.issued()
    if state == "accepted":
        emulator.control("POST", f"badges/{old['id']}/accept")
    form = {"badge_template_id": academy.template, "issued_at": "2026-03-03 00:00:00 +0000"}
    answer = academy.call("POST", f"/badges/{old['id']}/replace", json=form | {"issued_to_last_name": "Berg"})
    assert answer.status_code == 201
    new = answer.json()["data"]
    assert (new["state"], new["replaces_badge_id"], new["issued_to"]) == (state, old["id"], "Dana Berg")
    assert ("badge_url" in new, "accept_badge_url" in new) == (state == "accepted", True)
    old = academy.call("GET", f"/badges/{old['id']}").json()["data"]
    assert (old["state"], old["replacement_badge_id"]) == ("replaced", new["id"])
    assert academy.call("PUT", f"/badges/{old['id']}/revoke", json={"reason": "x"}).status_code == 422


def test_replacing_a_replaced_badge_names_the_live_one(academy):
    first = academy.issued()
    form = {"badge_template_id": academy.template, "issued_at": "2026-03-03 00:00:00 +0000"}
    second = academy.call("POST", f"/badges/{first['id']}/replace", json=form).json()["data"]
    third = academy.call("POST", f"/badges/{second['id']}/replace", json=form).json()["data"]
    answer = academy.call("POST", f"/badges/{first['id']}/replace", json=form)
    assert answer.status_code == 422
    assert answer.json()["metadata"] == {"current_badge_id": third["id"]}


def test_deleting_answers_204_and_leaves_nothing(emulator, academy):
    badge = academy.issued()
    answer = academy.call("DELETE", f"/badges/{badge['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert academy.call("GET", f"/badges/{badge['id']}").status_code == 404
    assert emulator.ledger() == []
    assert academy.issue().status_code == 201


def test_a_batch_issues_in_order(academy):
    people = [academy.form(recipient_email=f"{n}@x.example", issuer_earner_id=str(n)) for n in range(3)]
    answer = academy.call("POST", "/badges/batch", json={"badges": people})
    assert answer.status_code == 201
    assert [badge["issuer_earner_id"] for badge in answer.json()["data"]] == ["0", "1", "2"]


def test_a_bad_item_undoes_the_whole_batch_and_is_named(emulator, academy):
    answer = academy.call("POST", "/badges/batch", json={"badges": [academy.form(), academy.form()]})
    assert answer.status_code == 422
    assert answer.json()["data"]["error_index"] == 1
    assert emulator.ledger() == []
    assert emulator.control("GET", "events", arguments={"event_type": "badge.created"})["events"] == []
    assert academy.issued()["badge_template"]["badges_count"] == 1


def test_accepting_and_rejecting_are_the_earners_and_only_once(emulator, academy):
    badge = academy.issued()
    emulator.control("POST", f"badges/{badge['id']}/accept")
    accepted = academy.call("GET", f"/badges/{badge['id']}").json()["data"]
    assert accepted["state"] == "accepted"
    assert accepted["badge_url"].endswith(badge["id"])
    assert "accept_badge_url" not in accepted
    assert emulator.ask("POST", f"badges/{badge['id']}/reject").status_code == 400
    assert emulator.ask("POST", f"badges/{badge['id']}/accept").status_code == 400


def test_a_switch_accepts_new_badges_at_once(emulator, academy):
    emulator.switch(accept_automatically=True)
    assert academy.issued()["state"] == "accepted"


def test_a_switch_hides_the_user_of_an_unknown_address(emulator, academy):
    assert academy.issued()["user"]["email"] == "dana@learners.example"
    emulator.switch(unknown_user="null")
    assert academy.call("GET", "/badges").json()["data"][0]["user"] is None
