"""What an operator sees of `replay_events`."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection

from pipeline.bus.codec import UndecodableMessage, encode_raw
from pipeline.ledgers import inbox
from pipeline.lms.events import CCX_PASSING, PASSING
from pipeline.management.commands import replay_events
from pipeline.models import Event, EventStatus
from tests.credly.emulated_credly import eventually
from tests.ledgers.builders import TOPIC, course_template, deliver, lms_learner, passes, received
from tests.management.commands import Terminal, run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]


def ignored(number: int = 1, who=None) -> list:
    """Stored one after the other: what is stored at once has one time, and is replayed at once."""
    ids = [event for minute in range(number) for event in received(passes(who or lms_learner(), minute))]
    inbox.finish(inbox.waiting(ids), EventStatus.IGNORED)
    return ids


def waiting() -> set:
    return set(Event.objects.filter(status="received").values_list("pk", flat=True))


def test_events_are_put_back_and_counted_and_sent_to_evaluation_as_one(capsys, broker):
    ids = ignored(3)
    ran = run(capsys, "replay_events", "--all", "--yes")
    assert (ran.status, ran.out, ran.err) == (0, "3 event(s) put back to be evaluated.\n", "")
    assert waiting() == set(ids)
    assert broker.llen("evaluate") == 1


def test_with_badges_switched_off_nothing_is_put_back(capsys, settings):
    settings.BADGES_ENABLED = False
    ignored()
    ran = run(capsys, "replay_events", "--all", "--yes")
    assert (ran.status, ran.out, waiting()) == (1, "", set())
    assert "BADGES_ENABLED=true" in ran.err
    assert run(capsys, "replay_events", "--all", "--dry-run").status == 0


def test_a_dry_run_only_counts(capsys):
    ignored(3)
    ran = run(capsys, "replay_events", "--all", "--dry-run")
    assert (ran.status, ran.out) == (0, "3 event(s) to run again.\n")
    assert waiting() == set()


def test_messages_that_could_not_be_read_are_left_out_and_counted(capsys):
    ignored()
    inbox.store([UndecodableMessage(id=uuid4(), type="", position="1-1", raw=encode_raw({}), reason="No id.")], TOPIC)
    ran = run(capsys, "replay_events", "--all", "--yes")
    assert ran.out == ("1 event(s) put back to be evaluated. 1 could not be read when they came and are left out.\n")


def test_each_filter_selects(capsys):
    course_template()
    dana = lms_learner(username="dana")
    deliver(passes(dana, 1))
    [processed] = Event.objects.values_list("pk", flat=True)
    [old, failed] = ignored(2)
    Event.objects.filter(pk=old).update(received_at=datetime(2026, 1, 1, tzinfo=UTC), type=CCX_PASSING)
    Event.objects.filter(pk=failed).update(status="failed")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    for arguments, expected in (
        (["--id", str(processed), "--id", str(old)], {processed, old}),
        (["--type", CCX_PASSING], {old}),
        (["--since", "2026-01-02"], {processed, failed}),
        (["--until", "2026-01-01T00:00:01"], {old}),
        (["--since", "2026-01-01T00:00:00+00:00", "--until", "2026-01-01T01:00:00+02:00"], set()),
        (["--username", "dana"], {processed}),
        (["--lms-user-id", str(dana.id)], {processed}),
        (["--status", "failed"], {failed}),
        (["--type", PASSING, "--status", "failed", "--until", tomorrow], {failed}),
    ):
        before = list(Event.objects.values_list("pk", "status"))
        assert run(capsys, "replay_events", *arguments, "--yes").status == 0
        assert waiting() == expected, arguments
        for pk, status in before:
            Event.objects.filter(pk=pk).update(status=status)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Say which events: give a filter, or --all"),
        (["--all", "--status", "failed"], "--all goes without filters"),
        (["--id", "1"], "'1' is no event id"),
        (["--type", "course"], "'course' is no event type"),
        (["--since", "yesterday"], "'yesterday' is no time such as"),
        (["--since", "2026-02-30"], "'2026-02-30' is no time such as"),
        (["--status", "received"], "invalid choice: 'received'"),
        (["--lms-user-id", "dana"], "'dana' is not allowed; it must be a whole number from 1"),
        (["--lms-user-id", "0"], "'0' is not allowed"),
        (["--username", "dana", "--lms-user-id", "1"], "not allowed with"),
    ],
)
def test_wrong_options_end_with_status_2_and_a_reason(capsys, arguments, complaint):
    ran = run(capsys, "replay_events", *arguments, "--yes")
    assert (ran.status, ran.out) == (2, "")
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_an_unknown_learner_is_told(capsys):
    ran = run(capsys, "replay_events", "--username", "nobody", "--yes")
    assert ran.status == 1
    assert "No learner 'nobody'" in ran.err


def test_where_nobody_can_be_asked_nothing_is_done(capsys):
    ignored()
    ran = run(capsys, "replay_events", "--all")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "CommandError: Nothing was done: there is nobody to ask here, so give --yes.\n"
    assert waiting() == set()


@pytest.mark.parametrize(("typed", "status", "put_back"), [("y\n", 0, 1), ("n\n", 1, 0), ("", 1, 0)])
def test_at_a_terminal_it_asks(capsys, monkeypatch, typed, status, put_back):
    ignored()
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ran = run(capsys, "replay_events", "--all")
    assert (ran.status, len(waiting())) == (status, put_back)
    assert ran.err.startswith("Run 1 event(s) again? [y/N] ")


def test_an_unknown_event_is_told_and_nothing_is_done(capsys):
    [stored], unknown = ignored(), str(uuid4())
    ran = run(capsys, "replay_events", "--id", str(stored), "--id", unknown, "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert f"no event is stored with the id {unknown}." in ran.err
    assert waiting() == set()


def test_the_next_chunk_follows_when_the_one_before_is_worked_off(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.replaying.AT_ONCE", 2)
    ids = ignored(5)
    most = 0

    def work() -> None:
        """A worker: takes what waits until all was seen."""
        nonlocal most
        done: set = set()
        try:
            while len(done) < len(ids):
                batch = eventually(waiting)
                most = max(most, len(batch))
                inbox.finish(inbox.waiting(batch), EventStatus.PROCESSED)
                done |= batch
        finally:
            connection.close()

    worker = Thread(target=work)
    worker.start()
    ran = run(capsys, "replay_events", "--all", "--yes")
    worker.join()
    assert (ran.status, ran.out) == (0, "5 event(s) put back to be evaluated.\n")
    assert most <= 2
    assert set(Event.objects.values_list("status", flat=True)) == {"processed"}


def test_without_workers_it_says_so_and_where_to_go_on(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.replaying.AT_ONCE", 2)
    monkeypatch.setattr(replay_events, "PATIENCE", 0.0)
    ids = ignored(5)
    ran = run(capsys, "replay_events", "--all", "--yes")
    assert ran.status == 1
    assert "Start the workers. To go on, give --since " in ran.err
    assert waiting() < set(ids)
    inbox.finish(inbox.waiting(waiting()), EventStatus.IGNORED)
    since = ran.err.split("--since ")[1].strip()
    left = int(run(capsys, "replay_events", "--since", since, "--dry-run").out.split()[0])
    assert 3 <= left < 5


def test_stopped_by_hand_it_says_where_to_go_on(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.replaying.AT_ONCE", 2)
    ignored(5)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(replay_events, "_await_workers", interrupted)
    ran = run(capsys, "replay_events", "--all", "--yes")
    assert ran.status == 1
    assert "Stopped; 2 of 5 event(s) were put back. To go on, give --since " in ran.err
    assert len(waiting()) == 2
