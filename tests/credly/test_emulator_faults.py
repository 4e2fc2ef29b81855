"""Faults: each is answered as asked, and the ledger tells whether the effect took place."""

import json
import socket
import time

import pytest
import requests

from tests.credly.emulated_credly import eventually

STATUS = {
    "401": 401,
    "403": 403,
    "404": 404,
    "409": 409,
    "422-duplicate": 422,
    "422-archived": 422,
    "429": 429,
    "429-bare": 429,
    "500": 500,
    "502-html": 502,
    "503": 503,
    "504": 504,
    "200-html": 200,
}


@pytest.mark.parametrize("preset", STATUS)
def test_a_preset_that_answers_in_place_of_credly_has_no_effect_and_strikes_only_so_often(emulator, academy, preset):
    emulator.fault(preset, times=1)
    answer = academy.issue()
    assert answer.status_code == STATUS[preset]
    assert emulator.ledger() == []
    if preset.endswith("-html"):
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.text.startswith("<html>")
    else:
        assert answer.json()["data"]["message"]
    assert academy.issue().status_code == 201


def test_duplicate_and_archived_presets_are_answered_as_credly_itself_does(emulator, academy):
    emulator.fault("422-duplicate", times=1)
    emulator.fault("422-archived", times=1)
    duplicate, archived = academy.issue().json(), academy.issue().json()
    academy.issued()
    assert academy.issue().json() == duplicate
    emulator.control("POST", f"templates/{academy.template}/state", {"state": "archived"})
    assert academy.issue().json() == archived


def test_429_carries_the_asked_retry_after_or_none(emulator, academy):
    emulator.fault("429", times=1, retry_after=17)
    emulator.fault("429", times=1)
    emulator.fault("429-bare", times=1)
    assert [academy.issue().headers.get("Retry-After") for _ in range(3)] == ["17", "1", None]


@pytest.mark.parametrize(("preset", "badges"), [("reset-after-success", 1), ("reset-before", 0)])
def test_a_reset_tears_the_connection_down(emulator, academy, preset, badges):
    emulator.fault(preset, times=1)
    with pytest.raises(requests.ConnectionError) as caught:
        academy.issue()
    assert "reset" in str(caught.value).lower()
    assert len(emulator.ledger()) == badges
    entry = emulator.requests(method="POST")[0]
    assert (entry["status"], entry["fault"]) == (None, preset)


def test_a_timeout_after_success_leaves_the_badge_behind(emulator, academy):
    emulator.fault("timeout-after-success", times=1)
    with pytest.raises(requests.ReadTimeout):
        academy.call("POST", "/badges", json=academy.form(), timeout=0.2)
    assert len(eventually(emulator.ledger)) == 1


def test_a_timeout_after_success_ends_without_an_answer(emulator, academy):
    emulator.fault("timeout-after-success", times=1, delay=0)
    with pytest.raises(requests.ConnectionError):
        academy.issue()
    assert len(emulator.ledger()) == 1


def test_a_slow_first_byte_keeps_the_caller_waiting(emulator, academy):
    emulator.fault("slow-first-byte", times=1)
    with pytest.raises(requests.ReadTimeout):
        academy.call("POST", "/badges", json=academy.form(), timeout=0.2)
    eventually(emulator.ledger)
    emulator.fault("slow-first-byte", times=1, delay=0.01)
    assert academy.issue().status_code == 422
    assert len(emulator.ledger()) == 1


def test_a_slow_drip_sends_the_head_at_once_and_the_body_by_the_byte(emulator, academy):
    emulator.fault("slow-drip", times=1)
    with academy.call("POST", "/badges", json=academy.form(), stream=True) as answer:
        assert answer.status_code == 201
        assert answer.raw.read(1) == b"{"
    assert len(emulator.ledger()) == 1


def test_a_slow_drip_is_whole_in_the_end(emulator, academy):
    emulator.fault("slow-drip", times=1, delay=0)
    assert academy.issue().json()["data"]["state"] == "pending"


def test_truncated_json_is_shorter_than_its_length_and_the_badge_is_there(emulator, academy):
    emulator.fault("truncated-json", times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        academy.issue()
    assert len(emulator.ledger()) == 1


def test_cut_json_is_a_whole_answer_that_cannot_be_read(emulator, academy):
    emulator.fault("cut-json", times=1)
    answer = academy.issue()
    assert answer.status_code == 201
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)
    assert len(emulator.ledger()) == 1


def test_an_explicit_fault_after_the_effect_hides_the_success(emulator, academy):
    emulator.fault(status=503, body="gone", headers={"X-Why": "test"}, when="after", times=1)
    answer = academy.issue()
    assert (answer.status_code, answer.text, answer.headers["X-Why"]) == (503, "gone", "test")
    assert len(emulator.ledger()) == 1


def test_an_explicit_field_overrides_the_preset(emulator, academy):
    emulator.fault("500", times=1, when="after", status=504)
    assert academy.issue().status_code == 504
    assert len(emulator.ledger()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_alone_changes_nothing_else(emulator, academy, when):
    emulator.fault(delay=0.05, when=when, times=1)
    started = time.monotonic()
    assert academy.issue().status_code == 201
    assert time.monotonic() - started >= 0.05


def test_a_fault_strikes_only_what_it_matches(emulator, academy):
    other = emulator.academy(name="Other")
    emulator.fault("500", match={"method": "POST", "path": "/badges$", "organization": academy.organization})
    assert academy.issue().status_code == 500
    assert academy.call("GET", "/badges").status_code == 200
    assert academy.call("GET").status_code == 200
    assert other.issue().status_code == 201


def test_a_fault_may_strike_one_template_or_learner(emulator, academy):
    emulator.fault("500", match={"template": academy.template, "issuer_earner_id": "13"})
    assert academy.issue(issuer_earner_id="13").status_code == 500
    assert academy.issue(issuer_earner_id="14").status_code == 201


def test_a_fault_by_chance_strikes_the_same_calls_for_the_same_seed(emulator, academy):
    runs = []
    for _ in range(2):
        fault = emulator.fault("500", probability=0.5, seed=3)
        runs.append([academy.call("GET").status_code for _ in range(20)])
        emulator.control("DELETE", f"faults/{fault['id']}")
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_the_first_of_several_faults_strikes_and_hits_are_counted(emulator, academy):
    emulator.fault("500", times=1)
    emulator.fault("403")
    assert [academy.call("GET").status_code for _ in range(3)] == [500, 403, 403]
    assert [fault["hits"] for fault in emulator.control("GET", "faults")["faults"]] == [1, 2]
    emulator.control("DELETE", "faults")
    assert academy.call("GET").status_code == 200


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "give a preset"),
        ({"preset": "418"}, "unknown preset"),
        ({"preset": "500", "when": "never"}, "when must be"),
        ({"preset": "500", "match": {"path": "("}}, "no regular expression"),
        ({"preset": "500", "match": {"colour": "red"}}, "unknown: colour"),
        ({"status": 99}, "status must be"),
        ({"status": "500"}, "status must be int"),
        ({"status": 500, "delay": -1}, "must not be negative"),
        ({"status": 500, "probability": 2}, "probability"),
        ({"status": 500, "headers": {"A": 1}}, "headers must be strings"),
        ({"ending": "happy"}, "ending must be"),
    ],
)
def test_a_bad_fault_is_refused_with_the_reason(emulator, given, complaint):
    answer = emulator.ask("POST", "faults", given)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def test_latency_delays_every_call_until_reset(emulator, academy):
    emulator.control("POST", "latency", {"seconds": 0.05})
    started = time.monotonic()
    academy.call("GET")
    assert time.monotonic() - started >= 0.05


def test_a_hanging_call_does_not_hold_up_the_others(emulator, academy):
    emulator.fault("timeout-after-success", times=1)
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(f"GET /v1/organizations HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        eventually(lambda: emulator.requests(fault="timeout-after-success"))
        assert academy.call("GET").status_code == 200
