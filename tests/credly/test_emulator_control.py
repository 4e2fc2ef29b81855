"""The control API, the page, and the emulator as a process."""

import json
import os
import signal
import subprocess
import sys

import pytest
import requests

from tests.credly.emulated_credly import PROJECT, running_emulator

COMMAND = [sys.executable, "-m", "pipeline.credly.emulator"]


def test_the_ledger_shows_every_field_and_filters(emulator, academy):
    other = emulator.academy(name="Other")
    academy.issued()
    other.issued()
    assert len(emulator.ledger()) == 2
    [row] = emulator.ledger(organization=other.organization, state="pending", issuer_earner_id="4711")
    assert row["issued_to_first_name"] == "Dana"
    assert row["issued_at"] == "2026-02-03T08:15:00.000Z"
    assert emulator.ledger(state="revoked") == []


def test_requests_are_logged_in_order_without_secrets_or_addresses(emulator, academy):
    badge = academy.issued()
    academy.call("GET", "/badges?filter=recipient_email::dana@learners.example")
    academy.call("PUT", f"/badges/{badge['id']}/revoke", json={"reason": "Dana left"})
    academy.call("GET", "/nowhere", auth=("wrong-key", ""))
    log = emulator.requests()
    assert [(entry["method"], entry["status"]) for entry in log] == [
        ("POST", 201),
        ("GET", 200),
        ("PUT", 200),
        ("GET", 401),
    ]
    assert (log[0]["template"], log[0]["issuer_earner_id"]) == (academy.template, "4711")
    assert [entry["sequence"] for entry in log] == sorted({entry["sequence"] for entry in log})
    written = json.dumps(log)
    for secret in (academy.key, "wrong-key", "dana@learners.example", "Dana"):
        assert secret not in written
    assert len(emulator.requests(since=log[1]["sequence"])) == 2
    assert len(emulator.requests(method="POST", path="/badges$")) == 1
    assert emulator.requests(status=401, organization=academy.organization) == [log[3]]


def test_reset_leaves_nothing_behind(emulator, academy):
    academy.issued()
    emulator.fault("500")
    emulator.switch(page_size=3)
    emulator.control("POST", "clock", {"advance": 1000})
    emulator.control("POST", "reset")
    assert emulator.ledger() == emulator.requests() == []
    assert emulator.control("GET", "faults") == {"faults": []}
    assert emulator.control("GET", "switches")["page_size"] == 50
    assert emulator.control("GET", "clock")["ahead"] == 0
    assert academy.call("GET").status_code == 401


def test_the_clock_goes_forward_for_everything(emulator, academy):
    emulator.control("POST", "clock", {"advance": 400 * 86400})
    emulator.control("POST", "tokens", {"organization": academy.organization, "token": "fresh"})
    now = emulator.control("GET", "clock")["now"]
    made = academy.call("POST", "/badges", json=academy.form(), auth=("fresh", "")).json()["data"]["created_at"]
    assert made[:13] >= now[:13]


@pytest.mark.parametrize(
    ("method", "path", "given", "complaint"),
    [
        ("POST", "organizations", {}, "missing: name"),
        ("POST", "organizations", {"name": "X", "id": "7"}, "id must be a UUID"),
        ("POST", "organizations", {"name": "X", "colour": "red"}, "unknown: colour"),
        ("POST", "organizations", {"name": 7}, "name must be str"),
        ("POST", "organizations", [], "expected a JSON object"),
        ("POST", "templates", {"organization": "7", "name": "X"}, "organization must be a UUID"),
        ("POST", "tokens", {"organization": "00000000-0000-4000-8000-000000000000"}, "unknown organization"),
        ("POST", "clock", {"advance": -1}, "forward"),
        ("POST", "latency", {"seconds": "1"}, "seconds must be int or float"),
        ("PATCH", "switches", {"no_such": 1}, "unknown switch"),
        ("PATCH", "switches", {"page_size": 0}, "page_size must be"),
        ("PATCH", "switches", {"event_object": "x"}, "event_object must be one of"),
        ("POST", "webhooks/release", {"order": "x"}, "order must be one of"),
    ],
)
def test_a_wrong_control_call_is_400_with_the_reason(emulator, method, path, given, complaint):
    answer = emulator.ask(method, path, given)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nowhere"),
        ("POST", "ledger"),
        ("POST", "badges/00000000-0000-4000-8000-000000000000/accept"),
        ("POST", "templates/00000000-0000-4000-8000-000000000000/state"),
    ],
)
def test_an_unknown_control_path_or_thing_is_404(emulator, method, path):
    given = {"state": "active"} if path.endswith("state") else None
    answer = emulator.ask(method, path, given)
    assert (answer.status_code, "no such" in answer.json()["error"]) == (404, True)


def test_a_body_that_is_no_json_is_400(emulator):
    answer = requests.post(f"{emulator.url}/control/faults", data="{", timeout=20)
    assert (answer.status_code, answer.json()) == (400, {"error": "the body is not JSON"})


def test_one_bad_switch_changes_none(emulator):
    assert emulator.ask("PATCH", "switches", {"page_size": 7, "no_such": 1}).status_code == 400
    assert emulator.control("GET", "switches")["page_size"] == 50


def test_the_page_shows_counts_and_calls_and_escapes_names(emulator):
    academy = emulator.academy(name="<b>Bold</b>")
    academy.issued()
    page = requests.get(emulator.url, timeout=20)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page.text
    assert f"/organizations/{academy.organization}/badges" in page.text
    assert "<td>pending</td><td>1</td>" in page.text
    for secret in (academy.key, "dana@learners.example"):
        assert secret not in page.text


ORGANIZATION = "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02"
TEMPLATE = "3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_begins_as_told_and_stops_cleanly_though_a_call_hangs(number):
    arguments = (
        "--organization",
        ORGANIZATION,
        "--api-key",
        "KEY",
        "--template",
        f"{TEMPLATE}:Intro: Course",
    )
    with running_emulator(*arguments) as emulator:
        address = f"{emulator.api}/organizations/{ORGANIZATION}/badge_templates/{TEMPLATE}"
        assert requests.get(address, auth=("KEY", ""), timeout=20).json()["data"]["name"] == "Intro: Course"
        emulator.control("POST", "reset")
        assert requests.get(address, auth=("KEY", ""), timeout=20).status_code == 200
        emulator.fault("timeout-after-success")
        with pytest.raises(requests.ReadTimeout):
            requests.get(address, auth=("KEY", ""), timeout=0.2)
        emulator.process.send_signal(number)
        assert emulator.process.wait(10) == 0


def test_it_begins_with_a_seed_file(tmp_path):
    seed = tmp_path / "seed.json"
    tokens, templates = [{"token": "KEY"}], [{"id": TEMPLATE, "name": "Intro", "state": "draft"}]
    organization = {"id": ORGANIZATION, "name": "Seeded", "tokens": tokens, "templates": templates}
    seed.write_text(json.dumps({"organizations": [organization]}))
    with running_emulator("--seed-file", str(seed)) as emulator:
        address = f"{emulator.api}/organizations/{ORGANIZATION}/badge_templates"
        [template] = requests.get(address, auth=("KEY", ""), timeout=20).json()["data"]
        assert (template["state"], template["owner"]["name"]) == ("draft", "Seeded")


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 2, "--port"),
        (["--port", "x"], 2, "--port"),
        (["--port", "0", "--latency", "-1"], 2, "--latency"),
        (["--port", "0", "--api-key", "K"], 1, "--organization"),
        (["--port", "0", "--organization", "7", "--api-key", "K"], 1, "id must be a UUID"),
        (["--port", "0", "--seed-file", "/no/such/file"], 1, "No such file"),
        (["--port", "99999"], 2, "--port"),
    ],
)
@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "manage.py", "credly_emulator"]])
def test_wrong_arguments_are_one_clear_line(command, arguments, status, complaint):
    environment = os.environ | {"SECRET_KEY": "x", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [*command, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or done.stderr.count("\n") == 1


def test_a_taken_port_is_one_clear_line(emulator):
    port = emulator.url.rpartition(":")[2]
    done = subprocess.run([*COMMAND, "--port", port], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cannot start" in done.stderr


def test_the_command_runs_without_a_database():
    environment = os.environ | {"SECRET_KEY": "x", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    command = [sys.executable, "manage.py", "credly_emulator", "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        announced = process.stdout.readline()
        process.terminate()
    assert announced.startswith("Credly emulator on http://127.0.0.1:")
    assert announced.endswith("/control/)\n")
    assert process.returncode == 0
