"""What an operator sees of `retire_learner`."""

import io

import pytest

from pipeline.lms.events import LmsLearner
from pipeline.models import Learner
from tests.ledgers.people import mina, naming, story
from tests.management.commands import Terminal, run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def who() -> LmsLearner:
    learner = mina()
    story(learner)
    return learner


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(text))


@pytest.mark.parametrize("by", ["username", "email", "lms-user-id"])
def test_a_learner_is_retired_however_they_are_named_and_the_output_names_nobody(
    capsys: Capture, who: LmsLearner, by: str
):
    named = {"username": who.username, "email": who.email.upper(), "lms-user-id": str(who.id)}
    ran = run(capsys, "retire_learner", f"--{by}", named[by], "--yes")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        f"Learner {who.id} is retired. Changed: events 5, signals 1, other texts 8; unreadable messages emptied: 2.\n"
    )
    assert naming() == {}


@pytest.mark.parametrize(("by", "found"), [("username", False), ("email", True)])
def test_case_matters_in_usernames_and_not_in_emails_also_of_people_in_events_alone(
    capsys: Capture, who: LmsLearner, by: str, found: bool
):
    Learner.objects.filter(lms_user_id=who.id).update(username="renamed", email="renamed@school.example")
    named = getattr(who, by)
    assert run(capsys, "export_learner", f"--{by}", named).status == 0
    assert (run(capsys, "export_learner", f"--{by}", named.upper()).status == 0) is found


def test_it_asks_and_takes_yes(capsys: Capture, who: LmsLearner, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, "y\n")
    ran = run(capsys, "retire_learner", "--lms-user-id", str(who.id))
    assert ran.status == 0
    assert f"learner {who.id} will be removed here for good. Credly is told nothing" in ran.err
    assert naming() == {}


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_changed(capsys: Capture, who: LmsLearner, monkeypatch: pytest.MonkeyPatch, text: str):
    answer(monkeypatch, text)
    ran = run(capsys, "retire_learner", "--lms-user-id", str(who.id))
    assert ran.status == 1
    assert "Nothing was done." in ran.err
    assert Learner.objects.get(lms_user_id=who.id).email == who.email


def test_without_a_terminal_nobody_is_asked(capsys: Capture, who: LmsLearner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ran = run(capsys, "retire_learner", "--lms-user-id", str(who.id))
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "CommandError: Nothing was done: there is nobody to ask here, so give --yes.\n"
    assert Learner.objects.get(lms_user_id=who.id).email == who.email


@pytest.mark.parametrize("command", ["retire_learner", "export_learner"])
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--username", "nobody"], 1, "Nothing is held about a learner with the username 'nobody'."),
        (["--email", "nobody@school.example"], 1, "Nothing is held about a learner of this e-mail."),
        (["--lms-user-id", "987654"], 1, "Nothing is held about a learner with the LMS user id 987654."),
        (["--lms-user-id", "0"], 2, "'0' is not allowed; it must be a whole number from 1"),
        (["--lms-user-id", "x"], 2, "'x' is not allowed"),
        (["--lms-user-id", "9" * 30], 2, "is not allowed"),
        ([], 2, "one of the arguments --username --email --lms-user-id is required"),
        (["--username", "a", "--lms-user-id", "1"], 2, "not allowed with argument"),
    ],
)
def test_who_is_unknown_or_not_told_is_one_clear_line(
    capsys: Capture, command: str, arguments: list[str], status: int, words: str
):
    ran = run(capsys, command, *arguments)
    assert ran.status == status
    assert words in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
