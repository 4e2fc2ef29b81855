"""What an operator sees of `export_learner`."""

import json
from pathlib import Path

import pytest

from pipeline.lms.events import LmsLearner
from pipeline.reports.export import learner_export
from tests.ledgers.people import mina, story
from tests.management.commands import run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def who() -> LmsLearner:
    learner = mina()
    story(learner)
    return learner


def test_the_output_is_one_json_object_and_nothing_else(capsys: Capture, who: LmsLearner):
    ran = run(capsys, "export_learner", "--username", who.username)
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out) == learner_export(who.id)


def test_a_file_is_readable_by_its_owner_only_even_if_it_was_there_before(
    capsys: Capture, who: LmsLearner, tmp_path: Path
):
    file = tmp_path / "learner.json"
    file.write_text("before")
    file.chmod(0o644)
    ran = run(capsys, "export_learner", "--lms-user-id", str(who.id), "--output", str(file))
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert json.loads(file.read_text()) == learner_export(who.id)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_one_clear_line(capsys: Capture, who: LmsLearner, tmp_path: Path):
    file = tmp_path / "no such folder" / "learner.json"
    ran = run(capsys, "export_learner", "--lms-user-id", str(who.id), "--output", str(file))
    assert ran.status == 1
    assert "can't write" in ran.err
    assert "No such file or directory" in ran.err


def test_a_folder_in_the_place_of_the_file_is_left_alone(capsys: Capture, who: LmsLearner, tmp_path: Path):
    ran = run(capsys, "export_learner", "--lms-user-id", str(who.id), "--output", str(tmp_path))
    assert ran.status == 1
    assert "can't write" in ran.err
    assert list(tmp_path.iterdir()) == []
