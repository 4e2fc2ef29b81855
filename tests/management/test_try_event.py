"""try_event: the same as the page, as text and as JSON."""

import io
import json
import sys
from uuid import uuid4

import pytest

from pipeline.lms.events import PASSING
from pipeline.models import Event, RequirementRule
from tests.ledgers.builders import DEMO, MATH, TOPIC, at, course_template, deliver, fails, lms_learner, passes
from tests.management.commands import run

pytestmark = pytest.mark.django_db


def written(event, **changes):
    fields = {"id": str(event.id), "type": event.type, "time": event.time.isoformat(), "payload": event.payload}
    return json.dumps(fields | changes)


@pytest.fixture
def file(tmp_path):
    """Writes an event into a file; returns its name."""

    def write(text: str) -> str:
        (tmp_path / "event.json").write_text(text, encoding="utf-8")
        return str(tmp_path / "event.json")

    return write


def shown_by(capsys, *arguments: object) -> str:
    ran = run(capsys, "try_event", *map(str, arguments))
    assert (ran.status, ran.err) == (0, "")
    return ran.out


def refused(capsys, *arguments: object) -> str:
    """The one line in which the command refuses."""
    ran = run(capsys, "try_event", *map(str, arguments))
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    return ran.err


def test_an_event_from_a_file_is_tried_rule_by_rule(capsys, file):
    row = course_template()
    shown = shown_by(capsys, "--template", row.uuid, "--file", file(written(passes(lms_learner(), 1, MATH))))
    assert shown.startswith("Nothing: the event meets no requirement and no penalty of this template.\n")
    assert '[x] is_passing eq "true", found true' in shown
    assert f'[ ] course.course_key eq "{DEMO}", found "{MATH}"' in shown
    assert "Requirement demo: not met" in shown
    assert "Penalty demo-failed (takes back demo): not met" in shown


def test_a_stored_event_is_tried_and_the_learner_told(capsys):
    row, event = course_template(), passes(lms_learner(), 1)
    deliver(event)
    shown = shown_by(capsys, "--template", row.uuid, "--event", event.id)
    assert "already awarded" in shown
    assert f"demo: fulfilled by event {event.id} of 2026-05-01T12:01:00+00:00; this very event has decided" in shown


def test_an_event_is_read_from_standard_input(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(written(passes(lms_learner(), 1))))
    assert "would be awarded" in shown_by(capsys, "--template", course_template().uuid, "--file", "-")


def test_json_is_one_object_and_says_all(capsys, file):
    row, who = course_template(), lms_learner()
    deliver(passes(who, 1))
    event = fails(who, 2)
    told = json.loads(shown_by(capsys, "--template", row.uuid, "--file", file(written(event)), "--json"))
    assert (told["template"], told["event_type"], told["time"]) == (str(row.uuid), PASSING, at(2).isoformat())
    assert (told["verdict"], told["words"], told["misfits"]) == ("revoked", "The badge would be revoked.", [])
    assert [rule["found"] for rule in told["penalties"][0]["rules"]] == [False, DEMO]
    [step] = told["learner"]["steps"]
    assert (step["effect"], step["after"]["event"], step["after"]["fulfilled"]) == ("reset", str(event.id), False)


def test_a_payload_that_no_event_could_have_is_pointed_out(capsys, file):
    event = passes(lms_learner(), 1)
    text = written(event, payload=event.payload | {"is_passing": 1})
    assert "payload.is_passing: must be a boolean" in shown_by(
        capsys, "--template", course_template().uuid, "--file", file(text)
    )


def test_an_unknown_template_is_refused(capsys, file):
    name = file(written(passes(lms_learner(), 1)))
    assert "There is no badge template" in refused(capsys, "--template", uuid4(), "--file", name)


def test_an_unknown_event_is_refused(capsys):
    assert "is stored" in refused(capsys, "--template", course_template().uuid, "--event", uuid4())


def test_an_event_that_could_not_be_read_is_refused(capsys):
    row = course_template()
    raw = Event.objects.create(id=uuid4(), type=PASSING, time=at(1), topic=TOPIC, raw=b"?", status="failed")
    assert "could not be read" in refused(capsys, "--template", row.uuid, "--event", raw.pk)


def test_a_broken_template_is_refused(capsys, file):
    row = course_template()
    RequirementRule.objects.update(operator="like")
    name = file(written(passes(lms_learner(), 1)))
    assert "it is broken" in refused(capsys, "--template", row.uuid, "--file", name)


@pytest.mark.parametrize(("text", "problem"), [("{", "line 1, column 2"), ("{}", "type: must be the name")])
def test_a_file_that_holds_no_event_is_refused(capsys, file, text, problem):
    assert problem in refused(capsys, "--template", course_template().uuid, "--file", file(text))


@pytest.mark.parametrize(
    ("name", "problem"), [("none.json", "No such file"), ("", "directory"), ("latin.json", "it is not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_refused(capsys, tmp_path, name, problem):
    (tmp_path / "latin.json").write_bytes(b"\xe9")
    assert problem in refused(capsys, "--template", course_template().uuid, "--file", tmp_path / name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--template", "nonsense", "--file", "-"],
        ["--template", str(uuid4())],
        ["--file", "-"],
        ["--template", str(uuid4()), "--event", "nonsense"],
        ["--template", str(uuid4()), "--file", "-", "--event", str(uuid4())],
    ],
)
def test_wrong_usage_ends_with_status_2(capsys, arguments):
    ran = run(capsys, "try_event", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "error:" in ran.err
