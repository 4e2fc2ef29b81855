"""What an operator sees of `import_history`, and what comes of it."""

import csv
import json
import os
from contextlib import redirect_stderr
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import stages
from pipeline.admin import trial
from pipeline.ledgers import inbox
from pipeline.lms.events import CCX_PASSING, PASSING
from pipeline.lms.history import COLUMNS
from pipeline.management.commands import import_history
from pipeline.models import Event, Learner
from tests.admin.pages import page_url, text
from tests.backfill.turning import held, run_through
from tests.ledgers.builders import (
    DEMO,
    PASSED,
    course_template,
    deliver,
    lms_learner,
    passes,
    received,
    requirement,
    template,
)
from tests.management.commands import Interrupting, run
from tests.staff import client_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]

DANA = {
    "username": "dana",
    "email": "dana@learners.example",
    "name": "Dana Moe",
    "lms_user_id": "17",
    "course_key": DEMO,
    "is_passing": "true",
    "time": "2024-05-01 12:00:00.123456",
}


@pytest.fixture
def write(tmp_path: Path):
    def write(*lines, columns=COLUMNS, encoding="utf-8"):
        file = tmp_path / "passed.csv"
        with file.open("w", encoding=encoding, newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(lines)
        return str(file)

    return write


def evaluated() -> None:
    stages.persist(stages.evaluate(list(Event.objects.filter(status="received").values_list("pk", flat=True))))


def test_a_line_becomes_the_event_that_the_lms_would_have_sent(capsys, write, broker):
    row = course_template()
    ran = run(capsys, "import_history", write(DANA))
    assert (ran.status, ran.out, ran.err) == (0, "1 line(s) imported: 1 new event(s), 0 known before.\n", "")
    [event] = Event.objects.all()
    assert (event.type, event.source, event.position) == (PASSING, "import_history", "line 2")
    assert event.time == datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert event.payload["user"] == {
        "id": 17,
        "is_active": True,
        "pii": {"username": "dana", "email": "dana@learners.example", "name": "Dana Moe"},
    }
    assert broker.llen("evaluate") == 1
    evaluated()
    assert held(row) == {(17, "")}


def test_importing_twice_changes_nothing(capsys, write, broker):
    file = write(DANA, DANA | {"is_passing": "0", "time": "2024-06-01T00:00:00+02:00"})
    run(capsys, "import_history", file)
    evaluated()
    before = list(Event.objects.order_by("pk").values())
    broker.flushdb()
    ran = run(capsys, "import_history", write(DANA | {"name": "Dana M.", "time": "2024-05-01T14:00:00.123456+02:00"}))
    assert ran.out == "1 line(s) imported: 0 new event(s), 1 known before.\n"
    assert list(Event.objects.order_by("pk").values()) == before
    assert broker.keys() == []


def test_the_key_of_a_custom_course_makes_its_event(capsys, write):
    key = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"
    run(capsys, "import_history", write(DANA | {"course_key": key}))
    [event] = Event.objects.all()
    assert (event.type, event.payload["course"]["ccx_course_key"]) == (CCX_PASSING, key)


CUSTOM = "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"


@pytest.mark.parametrize(
    ("key", "known"),
    [
        (DEMO, {"course_key": DEMO}),
        (CUSTOM, {"ccx_course_key": CUSTOM, "master_course_key": "course-v1:OpenedX+DemoX+Demo_Course"}),
    ],
)
def test_of_a_course_an_event_tells_its_keys_and_nothing_that_the_list_does_not_know(capsys, write, key, known):
    run(capsys, "import_history", write(DANA | {"course_key": key}))
    assert Event.objects.get().payload["course"] == known


@pytest.mark.parametrize(
    ("operator", "value"),
    [("eq", "DemoX"), ("ne", "Chess"), ("contains", "Demo"), ("not_in", "Chess"), ("exists", "true")],
)
def test_no_rule_on_what_the_list_does_not_know_counts_an_event(capsys, write, operator, value):
    row = template()
    requirement(row, "named", PASSED, ("course.display_name", operator, value))
    run(capsys, "import_history", write(DANA))
    evaluated()
    run_through(row)
    assert held(row) == set()
    deliver(passes(lms_learner(id=17), 1))
    assert held(row) == {(17, "")}


@pytest.mark.parametrize("key", [DEMO, CUSTOM])
def test_an_event_that_lacks_what_the_list_does_not_know_can_be_looked_at_and_tried(capsys, write, key):
    row = course_template()
    run(capsys, "import_history", write(DANA | {"course_key": key}))
    [event] = Event.objects.all()
    administrator = client_of("root", is_superuser=True)
    assert key in text(administrator.get(page_url(event)))
    tried = {
        "action": "try",
        "event_type": event.type,
        "payload": json.dumps(event.payload),
        "time": "2024-05-01T12:00Z",
    }
    page = administrator.post(trial.url(row), tried)
    assert (page.status_code, page.context["misfits"]) == (200, [])
    ran = run(capsys, "try_event", "--template", str(row.uuid), "--event", str(event.pk))
    assert ("Requirement demo: met" in ran.out) == (key == DEMO)


@pytest.mark.parametrize("key", [DEMO, CUSTOM])
def test_its_learner_can_be_exported_and_retired(capsys, write, key):
    run(capsys, "import_history", write(DANA | {"course_key": key}))
    assert key in run(capsys, "export_learner", "--username", "dana").out
    assert "events 1" in run(capsys, "retire_learner", "--username", "dana", "--yes").out
    assert Event.objects.get().payload["user"]["pii"]["username"] == "retired-17"


def test_a_learner_keeps_the_newer_name(capsys, write):
    course_template()
    dana = lms_learner(id=17, username="dana.moe", email="new@learners.example")
    deliver(passes(dana, 1))
    run(capsys, "import_history", write(DANA))
    evaluated()
    assert Learner.objects.values_list("username", "email").get() == ("dana.moe", "new@learners.example")


def test_imported_for_a_template_that_comes_later_it_is_there_for_a_backfill(capsys, write):
    run(capsys, "import_history", write(DANA))
    evaluated()
    row = course_template()
    run_through(row)
    assert held(row) == {(17, "")}


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("username", "", "a username of at most 255 characters"),
        ("username", "da\0na", "a username of at most 255 characters"),
        ("email", "dana", "an e-mail address"),
        ("email", "", "an e-mail address"),
        ("lms_user_id", "0", "the user's id in the LMS, a whole number from 1"),
        ("lms_user_id", "-1", "the user's id in the LMS, a whole number from 1"),
        ("lms_user_id", "1.0", "the user's id in the LMS, a whole number from 1"),
        ("lms_user_id", "٣", "the user's id in the LMS, a whole number from 1"),
        ("lms_user_id", str(2**63), "the user's id in the LMS, a whole number from 1"),
        ("course_key", "demo", "a course key such as course-v1:OpenedX+DemoX+Demo_Course"),
        ("course_key", "library-v1:OpenedX+DemoX", "a course key such as course-v1:OpenedX+DemoX+Demo_Course"),
        ("is_passing", "maybe", "true or false"),
        ("is_passing", "", "true or false"),
        ("time", "yesterday", "a time in the past such as 2024-05-01T12:00:00Z; without a zone it is UTC"),
        ("time", "0001-01-01T00:00:00+05:00", "a time in the past such as"),
        ("time", "2024-02-30", "a time in the past such as"),
        ("time", "2999-01-01", "a time in the past such as"),
    ],
)
def test_a_bad_line_is_told_with_what_is_allowed_and_nothing_is_imported(capsys, write, column, value, allowed):
    file = write(DANA, DANA | {"lms_user_id": "18", column: value})
    ran = run(capsys, "import_history", file)
    assert (ran.status, ran.out) == (1, "")
    told, summary = ran.err.splitlines()
    assert told.startswith(f"{file}: line 3: {column}: {value!r} is not allowed; it must be {allowed}")
    assert summary == "CommandError: 1 line(s) are wrong, so nothing was imported. --skip-bad imports the other 1."
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("username", "d" * 256, f"{'d' * 200!r}... (256 characters) is not allowed"),
        ("lms_user_id", "1" * 5000, f"{'1' * 200!r}... (5,000 characters) is not allowed"),
    ],
)
def test_of_a_long_value_the_beginning_is_shown(capsys, write, column, value, shown):
    assert f"line 2: {column}: {shown}; it must be" in run(capsys, "import_history", write(DANA | {column: value})).err


def test_bad_lines_can_be_skipped(capsys, write):
    ran = run(capsys, "import_history", "--skip-bad", write(DANA, DANA | {"time": "soon"}))
    assert ran.status == 0
    assert "line 3: time: 'soon' is not allowed" in ran.err
    assert ran.out == "1 line(s) imported: 1 new event(s), 0 known before. 1 line(s) are wrong and were left out.\n"
    assert Event.objects.count() == 1


def test_of_many_bad_lines_the_first_are_told_one_by_one(capsys, write):
    ran = run(capsys, "import_history", write(*[DANA | {"time": ""}] * 30))
    assert len(ran.err.splitlines()) == import_history.TOLD + 2
    assert "and 10 more" in ran.err


def test_a_dry_run_only_checks(capsys, write):
    ran = run(capsys, "import_history", "--dry-run", write(DANA))
    assert (ran.status, ran.out) == (0, "1 line(s) can be imported. Nothing was.\n")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must name the columns, separated by commas: username,email,name,lms_user_id,course_key,is_passing,time"),
        (b"username,email\n", "must name the columns"),
        ((",".join(COLUMNS) + ",extra\n").encode(), "must name the columns"),
        ((",".join(COLUMNS) + "\ndana\n").encode(), "line 2: the line: '1 values' is not allowed"),
        ((",".join(COLUMNS) + "\n" + "x," * 7 + "x\n").encode(), "line 2: the line: 'more values' is not allowed"),
        ((",".join(COLUMNS) + "\n").encode() + b"\xff\n", "is not written in UTF-8"),
        ((",".join(COLUMNS) + '\n"dana\n').encode(), "this is no CSV"),
    ],
)
def test_what_is_no_such_file_is_refused(capsys, tmp_path, content, complaint):
    file = tmp_path / "passed.csv"
    file.write_bytes(content)
    ran = run(capsys, "import_history", str(file))
    assert (ran.status, ran.out) == (1, "")
    assert complaint in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((",".join(COLUMNS), '"dana', "sam"), "from line 2 on: this is no CSV: unexpected end of data"),
        ((",".join(COLUMNS), '"da"na"'), "from line 2 on: this is no CSV: ',' expected after '\"'"),
        ((",".join(COLUMNS), "x" * 140_000), "from line 2 on: this is no CSV: field larger than field limit (131072)"),
        (('"user"name',), "from line 1 on: this is no CSV: ',' expected after '\"'"),
    ],
)
def test_from_where_on_a_file_is_no_csv_is_told_and_skipping_bad_lines_does_not_help(
    capsys, tmp_path, lines, complaint
):
    file = tmp_path / "passed.csv"
    file.write_text("\n".join(lines))
    ran = run(capsys, "import_history", "--skip-bad", str(file))
    assert (ran.status, ran.out, ran.err) == (1, "", f"CommandError: {file}, {complaint}\n")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (";".join(COLUMNS), repr(";".join(COLUMNS))),
        ("username,email", "'username,email'"),
        ("x" * 300, f"{'x' * 200!r}... (300 characters)"),
    ],
)
def test_a_wrong_first_line_is_shown(capsys, tmp_path, line, found):
    file = tmp_path / "passed.csv"
    file.write_text(f"{line}\n")
    assert f"; it has {found}\n" in run(capsys, "import_history", str(file)).err


def test_a_pipe_is_refused_as_it_can_not_be_read_twice(capsys, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = os.open(pipe, os.O_RDWR)  # so that whoever opens it to read does not wait for a writer
    try:
        ran = run(capsys, "import_history", str(pipe))
    finally:
        os.close(writing)
    assert ran.status == 1
    assert f"{pipe} is no regular file, and it is read twice: save what it gives as a file first" in ran.err


def test_ctrl_c_ends_the_check_in_one_line(capsys, write):
    file = write(DANA | {"time": "soon"}, DANA | {"time": "soon"})
    with redirect_stderr(Interrupting()) as told:
        assert run(capsys, "import_history", file).status == 130
    assert told.getvalue().splitlines()[1:] == ["CommandError: Interrupted."]


def test_a_file_that_is_not_there_is_told(capsys, tmp_path):
    ran = run(capsys, "import_history", str(tmp_path / "none.csv"))
    assert (ran.status, "No such file" in ran.err) == (1, True)


def test_columns_may_stand_in_any_order_and_a_byte_order_mark_may_stand_before(capsys, write):
    assert run(capsys, "import_history", write(DANA, columns=COLUMNS[::-1], encoding="utf-8-sig")).status == 0


def test_events_that_wait_go_first_and_without_workers_it_says_so(capsys, write, monkeypatch):
    monkeypatch.setattr(import_history, "AT_ONCE", 2)
    monkeypatch.setattr(import_history, "PATIENCE", 0.0)
    lines = [DANA | {"lms_user_id": str(number)} for number in range(1, 6)]
    ran = run(capsys, "import_history", write(*lines))
    assert ran.status == 1
    assert "Nobody has worked on the inbox" in ran.err
    assert Event.objects.count() == 2
    inbox.finish(inbox.waiting(list(Event.objects.values_list("pk", flat=True))), inbox.EventStatus.IGNORED)
    monkeypatch.setattr(import_history, "AT_ONCE", 500)
    assert run(capsys, "import_history", write(*lines)).out == "5 line(s) imported: 3 new event(s), 2 known before.\n"


def finish_oldest(number: int) -> None:
    oldest = Event.objects.filter(status="received").order_by("received_at")[:number]
    inbox.finish(inbox.waiting(list(oldest.values_list("pk", flat=True))), inbox.EventStatus.IGNORED)


def test_workers_that_keep_up_with_what_comes_in_are_waited_for(capsys, write, monkeypatch):
    received(*(passes(lms_learner(), 1) for _ in range(4)))
    rounds = iter(range(5))

    def meanwhile(_seconds: float) -> None:
        finish_oldest(2)
        if next(rounds, None) is not None:
            received(passes(lms_learner(), 1), passes(lms_learner(), 1))

    monkeypatch.setattr(import_history, "AT_ONCE", 3)
    monkeypatch.setattr(import_history, "PATIENCE", 0.0)
    monkeypatch.setattr(import_history.time, "sleep", meanwhile)
    assert run(capsys, "import_history", write(DANA)).out.startswith("1 line(s) imported")
    assert next(rounds, None) is None


def test_events_that_only_come_in_are_no_workers(capsys, write, monkeypatch):
    received(passes(lms_learner(), 1), passes(lms_learner(), 1))
    monkeypatch.setattr(import_history, "AT_ONCE", 2)
    monkeypatch.setattr(import_history, "PATIENCE", 0.0)
    monkeypatch.setattr(import_history.time, "sleep", lambda _seconds: received(passes(lms_learner(), 1)))
    ran = run(capsys, "import_history", write(DANA))
    assert (
        "Nobody has worked on the inbox for 0 s; 3 events wait, 0 line(s) are imported. Start the workers." in ran.err
    )


def test_with_badges_switched_off_nothing_is_imported(capsys, write, settings):
    settings.BADGES_ENABLED = False
    ran = run(capsys, "import_history", write(DANA))
    assert (ran.status, ran.out, Event.objects.exists()) == (1, "", False)
    assert "BADGES_ENABLED=true" in ran.err
    assert run(capsys, "import_history", "--dry-run", write(DANA)).status == 0
