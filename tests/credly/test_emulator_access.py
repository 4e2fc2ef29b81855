"""Who may call the emulated Credly, and what its organizations and tokens look like."""

import base64

import pytest
import requests


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("form", ["{}:", "{}", '{}:""', "{}:password"])
def test_a_token_is_accepted_in_every_basic_form(academy, form):
    answer = academy.call("GET", auth=None, headers=basic(form.format(academy.key)))
    assert answer.status_code == 200
    assert answer.json()["data"]["name"] == "Example Academy"


def test_a_token_is_accepted_as_bearer(academy):
    answer = academy.call("GET", auth=None, headers={"Authorization": f"Bearer {academy.key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, basic("wrong:"), {"Authorization": "Basic §"}, {"Authorization": "x"}])
def test_an_unknown_token_is_401_with_credlys_error_body(academy, headers):
    headers = {name: value.encode() for name, value in headers.items()}
    answer = academy.call("GET", auth=None, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"data": {"message": "Unauthorized", "errors": []}, "metadata": {}}


def test_a_switch_refuses_basic_without_a_colon(emulator, academy):
    emulator.switch(basic_without_colon=False)
    assert academy.call("GET", auth=None, headers=basic(academy.key)).status_code == 401
    assert academy.call("GET").status_code == 200


@pytest.mark.parametrize(("form", "text"), [("empty", ""), ("text", "Unauthorized")])
def test_a_switch_changes_the_form_of_a_401(emulator, academy, form, text):
    emulator.switch(unauthorized_body=form)
    answer = academy.call("GET", auth=("wrong", ""))
    assert (answer.status_code, answer.text) == (401, text)


def test_a_token_expires_when_its_time_has_come(emulator, academy):
    emulator.control("POST", "clock", {"advance": 179 * 86400})
    assert academy.call("GET").status_code == 200
    emulator.control("POST", "clock", {"advance": 86400})
    assert academy.call("GET").status_code == 401


@pytest.mark.parametrize(
    ("flag", "method", "path"),
    [
        ("read_enabled", "GET", "/badges"),
        ("write_enabled", "POST", "/badges"),
        ("delete_enabled", "DELETE", "/badges/x"),
    ],
)
def test_a_token_without_the_flag_is_403_unless_switched_off(emulator, academy, flag, method, path):
    limited = {"organization": academy.organization, "token": "limited", flag: False}
    emulator.control("POST", "tokens", limited)
    assert academy.call(method, path, auth=("limited", ""), json={}).status_code == 403
    emulator.switch(enforce_token_flags=False)
    assert academy.call(method, path, auth=("limited", ""), json={}).status_code != 403


def test_the_token_of_one_organization_is_403_at_another(emulator, academy):
    other = emulator.academy(name="Other")
    assert academy.call("GET", auth=(other.key, "")).status_code == 403


def test_an_unknown_organization_is_404(emulator, academy):
    address = f"{emulator.api}/organizations/00000000-0000-4000-8000-000000000000"
    assert requests.get(address, auth=(academy.key, ""), timeout=20).status_code == 404


@pytest.mark.parametrize("path", ["/", "/badges/", "/badge_templates/?filter=state::active"])
def test_a_trailing_slash_makes_no_difference(academy, path):
    assert academy.call("GET", path).json() == academy.call("GET", path.replace("/?", "?").rstrip("/")).json()


def test_the_list_of_organizations_holds_the_one_of_the_token(emulator, academy):
    emulator.academy(name="Other")
    answer = requests.get(f"{emulator.api}/organizations", auth=(academy.key, ""), timeout=20).json()
    assert [item["id"] for item in answer["data"]] == [academy.organization]


def test_an_organization_sets_its_webhook_url(academy):
    answer = academy.call("PUT", json={"webhook_url": "http://127.0.0.1:9/hook", "city": "Oslo"})
    assert answer.status_code == 200
    data = academy.call("GET").json()["data"]
    assert (data["webhook_url"], data["city"], data["name"]) == (
        "http://127.0.0.1:9/hook",
        "Oslo",
        "Example Academy",
    )


def test_rotation_kills_the_old_token_at_once(academy):
    answer = academy.call("POST", "/authorization_tokens/rotate")
    assert answer.status_code == 200
    assert academy.call("GET").status_code == 401
    assert academy.call("GET", auth=(answer.json()["data"]["token"], "")).status_code == 200


def test_a_created_token_works_and_lives_180_days(academy):
    made = academy.call("POST", "/authorization_tokens", json={"description": "LMS", "write_enabled": True})
    assert made.status_code == 201
    token = made.json()["data"]
    assert (token["read_enabled"], token["write_enabled"], token["delete_enabled"]) == (True, True, False)
    assert token["owner"]["id"] == token["owner_id"] == academy.organization
    assert academy.call("GET", auth=(token["token"], "")).status_code == 200


def test_a_token_without_write_permission_sees_only_tokens_like_itself(emulator, academy):
    reader = {"organization": academy.organization, "token": "reader"}
    emulator.control("POST", "tokens", reader | {"write_enabled": False, "delete_enabled": False})
    seen = academy.call("GET", "/authorization_tokens", auth=("reader", "")).json()["data"]
    assert [token["token"] for token in seen] == ["reader"]
    seen = academy.call("GET", "/authorization_tokens").json()["data"]
    assert {token["token"] for token in seen} == {"reader", academy.key}


def test_a_switched_on_rate_limit_answers_429_with_retry_after(emulator, academy):
    emulator.switch(calls_per_minute=1)
    answers = [academy.call("GET") for _ in range(3)]
    throttled = [answer for answer in answers if answer.status_code == 429]
    assert throttled
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in throttled)
