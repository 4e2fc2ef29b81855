"""What an operator sees of `import_openedx_credentials`."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.models import Badge, Organization, Template
from tests.management.commands import run
from tests.switching.peers import REFERENCE, PeerDump, as_database

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = "import_openedx_credentials"


def test_a_dry_run_prints_the_report_and_the_import_says_what_it_wrote(capsys: pytest.CaptureFixture[str]):
    trial = run(capsys, COMMAND, str(REFERENCE), "--dry-run")
    assert (trial.status, trial.err) == (0, "")
    assert not Organization.objects.exists()
    lines = trial.out.splitlines()
    assert lines[0] == '+ organization "Example Academy" (7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02): with its API key'
    assert "Not taken over:" in lines
    assert "  badges.badgeprogress 9: Its template was deleted at the peer." in lines
    assert "Credly will be asked, and told if need be:" in lines
    assert lines[-1] == (
        "Would be written: 6 of configuration, 7 learners, 7 progress records, 8 fulfillments, 7 badges."
    )
    first = run(capsys, COMMAND, str(REFERENCE))
    assert first.status == 0
    assert first.out.splitlines()[-1].startswith("Written: 6 of configuration")
    assert Badge.objects.count() == 7
    assert Organization.objects.exclude(key_fingerprint="").get().name == "Example Academy"
    second = run(capsys, COMMAND, str(REFERENCE))
    assert second.out.splitlines()[-1] == "Nothing to do: whatever can be taken over is here."


def test_as_json_it_prints_one_object(capsys: pytest.CaptureFixture[str]):
    data = json.loads(run(capsys, COMMAND, str(REFERENCE), "--dry-run", "--json").out)
    assert (data["dry_run"], data["nothing_to_do"]) == (True, False)
    assert data["written"] == {
        "learners": 7,
        "progress": 7,
        "fulfillments": 8,
        "badges": 7,
        "renewed_learners": 0,
        "renewed_fulfillments": 0,
        "taken_back": 0,
        "renewed_badges": 0,
        "adopted": 0,
        "looked_up": 0,
    }
    assert data["configuration"][0]["sign"] == "+"
    assert {row["pk"] for row in data["asked"]} == {4, 5, 8}
    assert {
        "model": "badges.badgeprogress",
        "pk": 9,
        "name": None,
        "reason": "Its template was deleted at the peer.",
        "advice": None,
    } in data["left_out"]
    assert {row["name"] for row in data["templates"]} == {"Two Courses", "One of Two", "Archived"}


def test_a_database_does_as_well_as_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = as_database(json.loads(REFERENCE.read_text()), tmp_path / "peer.sqlite3")
    from_file = run(capsys, COMMAND, str(REFERENCE), "--dry-run")
    from_database = run(capsys, COMMAND, "--database", f"sqlite:///{file}", "--dry-run")
    assert from_database == from_file
    monkeypatch.setenv("PEER_DATABASE_URL", f"sqlite:///{file}")
    assert run(capsys, COMMAND, "--database", "env:PEER_DATABASE_URL", "--dry-run") == from_file


@pytest.mark.parametrize("lines", [False, True], ids=["JSON", "JSONL"])
def test_a_dump_comes_through_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lines: bool):
    records = json.loads(REFERENCE.read_text())
    content = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    from_file = run(capsys, COMMAND, str(REFERENCE), "--dry-run")
    source, sink = os.pipe()
    with open(sink, "w") as pipe, ThreadPoolExecutor() as writer, open(source) as standard_input:
        writer.submit(lambda: (pipe.write(content), pipe.close()))
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert run(capsys, COMMAND, "-", "--dry-run") == from_file


def test_without_keys_is_refused_in_one_line_where_a_key_is_here(capsys: pytest.CaptureFixture[str]):
    run(capsys, COMMAND, str(REFERENCE))
    ran = run(capsys, COMMAND, str(REFERENCE), "--without-keys", "--dry-run")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(
        "CommandError: --without-keys: Credly can be called all the same, for there is an API key"
    )
    assert "example-key-one" not in ran.err


def test_lms_ids_are_taken_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    file = tmp_path / "auth_user.csv"
    file.write_text("id,username\n4716,ida\n")
    assert run(capsys, COMMAND, str(REFERENCE), "--lms-ids", str(file)).status == 0
    assert Badge.objects.filter(learner__lms_user_id=4716).exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["/nowhere.json"], "can't read /nowhere.json: No such file or directory"),
        (["--database", "env:NOT_SET"], "the environment variable NOT_SET is not set"),
        ([str(REFERENCE), "--lms-ids", "/nowhere.csv"], "can't read /nowhere.csv: No such file or directory"),
    ],
)
def test_wrong_input_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str):
    ran = run(capsys, COMMAND, *arguments)
    assert (ran.status, ran.out, ran.err) == (1, "", f"CommandError: {reason}\n")


def test_a_source_with_an_error_changes_nothing(capsys: pytest.CaptureFixture[str], dump: PeerDump, tmp_path: Path):
    dump.course_template()
    dump.records[-1]["fields"]["operator"] = 7
    ran = run(capsys, COMMAND, str(dump.write(tmp_path / "peer.json")))
    assert ran.status == 1
    assert ran.err.endswith("operator must be a text\n")
    assert not Template.objects.exists()


@pytest.mark.parametrize(
    "arguments", [[], [str(REFERENCE), "--database", "sqlite:///x"], [str(REFERENCE), "--nonsense"]]
)
def test_wrong_usage_ends_with_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]):
    assert run(capsys, COMMAND, *arguments).status == 2
