"""What an operator sees of `backfill`."""

import os
import signal
from contextlib import redirect_stdout
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection

from pipeline import stages
from pipeline.ledgers import backfills
from pipeline.management.commands import backfill
from pipeline.models import Backfill, Badge
from tests.backfill.turning import begun, held, ignored, statuses, take_turns
from tests.credly.emulated_credly import eventually
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    PASSED,
    at,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    organization,
    passes,
    penalty,
    requirement,
    template,
)
from tests.management.commands import Interrupting, run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]


@pytest.fixture
def worker(broker):
    """Takes each turn that is sent, until the test ends."""
    ended = False

    def work() -> None:
        try:
            while not ended:
                if broker.brpop("housekeeping", timeout=0.1):
                    row = Backfill.objects.get()
                    taken = stages.backfill(backfills.turn_of(row))
                    if taken.then:
                        broker.lpush("housekeeping", "next")
        finally:
            connection.close()

    thread = Thread(target=work)
    thread.start()
    yield
    ended = True
    thread.join()


def test_a_dry_run_lists_who_would_gain_and_lose_and_changes_nothing(capsys, broker):
    row = template(name="Intro Course")
    demo = requirement(row, "demo", PASSED, course(DEMO))
    sam = lms_learner(username="sam")
    deliver(passes(sam, 1), fails(sam, 2))
    penalty(row, "failed", [demo], FAILED)
    dana = lms_learner(username="dana")
    ignored(passes(dana, 1))
    before = statuses(), list(Badge.objects.values())
    ran = run(capsys, "backfill", "Intro Course", "--dry-run")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"loses sam (LMS user id {sam.id})",
        f"gains dana (LMS user id {dana.id})",
        "1 badge(s) would be gained and 1 lost, by 3 kept event(s). Nothing was changed.",
    ]
    assert (statuses(), list(Badge.objects.values())) == before
    assert (broker.keys(), Backfill.objects.count()) == ([], 0)


def test_a_dry_run_names_the_value_of_each_badge(capsys):
    row = template(per="course.course_key")
    requirement(row, "any", PASSED)
    dana = lms_learner(username="dana")
    ignored(passes(dana, 1))
    ran = run(capsys, "backfill", str(row.uuid), "--dry-run")
    assert ran.out.splitlines()[0] == f"gains dana (LMS user id {dana.id}) for {DEMO}"


def test_it_runs_and_says_what_came_of_it(capsys, worker):
    row, dana = course_template(), lms_learner()
    ignored(passes(dana, 1), passes(lms_learner(), 1, "course-v1:OpenedX+Other+1"))
    ran = run(capsys, "backfill", str(row.uuid))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "Done. 2 of 2 kept event(s) looked at; 1 met the rules and ran again; 1 badge(s) awarded, 0 revoked.\n"
    )
    assert held(row) == {(dana.id, "")}


def test_since_leaves_out_earlier_events(capsys, worker):
    row, sam = course_template(), lms_learner()
    ignored(passes(lms_learner(), 1), passes(sam, 5))
    assert run(capsys, "backfill", str(row.uuid), "--since", at(5).isoformat()).status == 0
    assert held(row) == {(sam.id, "")}


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["Nothing"], 1, "There is no template 'Nothing'; give its UUID or its whole name."),
        ([str(uuid4())], 1, "There is no template"),
        (["Twice"], 1, "2 templates have the name 'Twice'; give the UUID of one: "),
        (["Off"], 1, "The template is not active: activate it first, for events can't change anything before."),
        (["Broken"], 1, "The template takes no part in anything, since it is broken: "),
        (["Empty"], 1, "The template has no requirement, so no event means anything to it."),
        (["Empty", "--dry-run"], 1, "The template has no requirement"),
        (["Intro Course", "--stop"], 1, "No backfill of this template is running."),
        (["Intro Course", "--since", "yesterday"], 2, "'yesterday' is no time such as"),
        (["Intro Course", "--since", "0001-01-01T00:00+14:00"], 2, "'0001-01-01T00:00+14:00' is no time such as"),
        (["Intro Course", "--since", "9999-12-31T23:59-14:00"], 2, "'9999-12-31T23:59-14:00' is no time such as"),
        (["Intro Course", "--dry-run", "--stop"], 2, "not allowed with"),
        ([], 2, "required: TEMPLATE"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(capsys, arguments, status, complaint):
    owner = organization()
    course_template(owner)
    course_template(owner, name="Off", active=False)
    requirement(template(owner, name="Broken"), "demo", PASSED, ("course.course_key", "matches", "("))
    for name in ("Twice", "Twice", "Empty"):
        template(owner, name=name)
    ran = run(capsys, "backfill", *arguments)
    assert (ran.status, ran.out) == (status, "")
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_with_badges_switched_off_nothing_is_begun(capsys, settings):
    settings.BADGES_ENABLED = False
    row = course_template()
    ran = run(capsys, "backfill", str(row.uuid))
    assert (ran.status, ran.out, Backfill.objects.exists()) == (1, "", False)
    assert "BADGES_ENABLED=true" in ran.err
    assert run(capsys, "backfill", str(row.uuid), "--dry-run").status == 0


def test_without_workers_it_says_that_nothing_moves(capsys, monkeypatch):
    monkeypatch.setattr(backfill, "PATIENCE", 0.0)
    row = course_template()
    ran = run(capsys, "backfill", str(row.uuid))
    assert (ran.status, ran.out) == (1, "")
    assert "nothing moves. Start the workers and beat; it goes on by itself then" in ran.err
    assert begun(row).state == "running"


def test_what_it_waited_for_is_said_when_nothing_moves(capsys, monkeypatch):
    monkeypatch.setattr(backfill, "PATIENCE", 0.0)
    row = course_template()
    backfills.hold(begun(row), "Waits for its turn.")
    ran = run(capsys, "backfill", str(row.uuid))
    assert "nothing moves. It said last: Waits for its turn. Start the workers" in ran.err


def test_without_a_terminal_it_says_once_what_it_waits_for(capsys, meanwhile):
    row, said = course_template(), []

    def is_said(note: str) -> bool:
        said.append(capsys.readouterr().err)
        return note in "".join(said)

    def hold_and_stop() -> None:
        running = Backfill.objects.get()
        try:
            for note in ("Waits for this.", "Waits for that."):
                backfills.hold(running, note)
                eventually(lambda waited_for=note: is_said(waited_for))
            backfills.hold(running, "Waits for that.")
        finally:
            backfills.stop(running)

    meanwhile(hold_and_stop)
    last = run(capsys, "backfill", str(row.uuid)).err
    assert "".join(said) == "Waits for this.\nWaits for that.\n"
    assert last.startswith("CommandError: It was stopped.")


def test_ctrl_c_ends_a_dry_run_in_one_line(capsys):
    row = course_template()
    ignored(passes(lms_learner(), 1))
    with redirect_stdout(Interrupting()):
        ran = run(capsys, "backfill", str(row.uuid), "--dry-run")
    assert (ran.status, ran.err) == (130, "CommandError: Interrupted.\n")


@pytest.fixture
def meanwhile():
    """Does something as soon as a backfill is running."""
    threads = []

    def start(do) -> None:
        def wait_and_do() -> None:
            try:
                eventually(lambda: Backfill.objects.filter(state="running").exists())
                do()
            finally:
                connection.close()

        threads.append(Thread(target=wait_and_do))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_it_goes_on_where_it_was(capsys, meanwhile, number):
    row = course_template()
    ignored(passes(lms_learner(), 1))

    def one_turn_and_stop() -> None:
        take_turns(Backfill.objects.get(), 1)
        eventually(watched)
        os.kill(os.getpid(), number)

    meanwhile(one_turn_and_stop)
    ran = run(capsys, "backfill", str(row.uuid))
    assert ran.status == 1
    assert "Stopped. 1 of 1 kept event(s) looked at" in ran.err
    assert Backfill.objects.get().state == "stopped"
    again = begun(row)
    assert (again.state, again.looked_at) == ("running", 1)


def test_one_that_was_running_before_goes_on_without_the_command(capsys, meanwhile):
    row = course_template()
    begun(row)
    meanwhile(lambda: eventually(watched) and os.kill(os.getpid(), signal.SIGTERM))
    ran = run(capsys, "backfill", str(row.uuid))
    assert "goes on without this command; --stop stops it." in ran.err
    assert Backfill.objects.get().state == "running"


def watched() -> bool:
    """Whether the command has taken the signals upon itself: before, they would end the tests."""
    return signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


def test_another_terminal_can_stop_it(capsys, meanwhile):
    row = course_template()
    meanwhile(lambda: backfills.stop(Backfill.objects.get()))
    ran = run(capsys, "backfill", str(row.uuid))
    assert ran.status == 1
    assert "It was stopped." in ran.err


def test_another_span_than_that_of_the_one_that_runs_is_refused(capsys):
    row = course_template()
    begun(row)
    ran = run(capsys, "backfill", str(row.uuid), "--since", "2026-05-01")
    assert "A backfill with another --since is running; --stop stops it." in ran.err


def test_two_at_once_do_no_harm(capsys, worker):
    row, dana = course_template(), lms_learner()
    ignored(passes(dana, 1))
    other = Thread(target=lambda: (begun(row), connection.close()))
    other.start()
    assert run(capsys, "backfill", str(row.uuid)).status == 0
    other.join()
    eventually(lambda: held(row) == {(dana.id, "")})
    assert Badge.objects.count() == 1
