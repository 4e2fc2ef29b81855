"""What keeps killing its worker is set aside after a few tries, says so, and its neighbours go on meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from uuid import UUID

import pytest

from pipeline import nudges
from pipeline.ledgers import inbox
from pipeline.models import Badge, Event
from tests.system.conditions import eventually
from tests.tasks.conftest import Start, StartWorker
from tests.tasks.school import School, status

DEADLY = ("-I", "tests.tasks.deadly")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "EVALUATED_WITHIN", timedelta(seconds=2))


def events(school: School, number: int) -> tuple[int, list[UUID]]:
    """Passing events of so many learners, and who the first of them is."""
    learners = [school.learner() for _ in range(number)]
    messages = [school.message(learner) for learner in learners]
    school.store(messages)
    return learners[0].id, [message.id for message in messages]


@pytest.mark.parametrize("place", ["evaluate", "persist"])
def test_an_event_that_kills_its_worker_is_set_aside_and_its_neighbours_go_on(
    start: Start, start_worker: StartWorker, school: School, place: str
):
    deadly, [poison, *others] = events(school, 4)
    worker = start_worker("worker", *DEADLY, DEADLY_LEARNER=str(deadly), DEADLY_PLACE=place)
    assert worker.ready()
    start("beat")
    nudges.evaluate([poison, *others])
    eventually(lambda: {status(event) for event in others} == {"processed"})
    eventually(lambda: status(poison) == "failed")
    row = Event.objects.get(pk=poison)
    assert (row.attempts, row.due_at) == (4, None)
    assert "never finished" in row.error
    assert worker.process.running

    later = school.passes()
    nudges.evaluate([later])
    eventually(lambda: status(later) == "processed")


@contextmanager
def supervised(start_worker: StartWorker, process: str, **variables: str) -> Iterator[list[int]]:
    """A worker that is started again whenever it died.  Yields the number of its starts, as a list of one."""
    starts, over = [0], Flag()

    def supervise() -> None:
        while not over.is_set():
            child = start_worker(process, *DEADLY, **variables).process
            starts[0] += 1
            while child.running and not over.wait(0.05):
                pass

    supervisor = Thread(target=supervise)
    supervisor.start()
    try:
        yield starts
    finally:
        over.set()
        supervisor.join()


def test_a_badge_that_kills_its_worker_is_set_aside_and_those_that_died_with_it_are_issued(
    start: Start, start_worker: StartWorker, school: School
):
    deadly, ids = events(school, 5)
    variables = {"DEADLY_LEARNER": str(deadly), "DEADLY_PLACE": "issue"}
    assert start_worker("worker", *DEADLY, **variables).ready()
    start("beat")
    with supervised(start_worker, "credly", **variables) as starts:
        nudges.evaluate(ids)
        eventually(lambda: Badge.objects.filter(credly_state="pending").count() == 4, seconds=90)
        eventually(lambda: Badge.objects.filter(credly_state="failed").exists(), seconds=90)
        assert starts[0] >= 4
    poison = Badge.objects.get(credly_state="failed")
    assert poison.learner.lms_user_id == deadly
    assert "without a result" in poison.error
    assert Badge.objects.exclude(pk=poison.pk).filter(taken_up__gt=0).count() == 0
    assert school.issued() == sorted(str(number) for number in range(2, 6))
