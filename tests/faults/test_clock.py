"""The wall clock is set while the system runs: work goes on, and nothing is lost or done twice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import product

import pytest

from tests.faults import pace
from tests.faults.cluster import Cluster
from tests.faults.fuses import Blow
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated

OWN_CLOCK = True
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for the clock to come round: all waits are over by then."""

STEPS = {
    "a day back": timedelta(days=-1),
    "an hour back": timedelta(hours=-1),
    "ten minutes back": timedelta(minutes=-10),
    "ten minutes forward": timedelta(minutes=10),
    "a day forward": timedelta(days=1),
}

Waiting = Callable[[Cluster, Story], AbstractContextManager[None]]


def killed_at(point: str, *, forgotten: bool = False) -> Waiting:
    """Work that a dead worker has claimed, or has not handed over and the broker forgets, waits for its time."""

    @contextmanager
    def waiting(cluster: Cluster, story: Story) -> Iterator[None]:
        fuse = cluster.arm(point, Blow.KILL)
        cluster.play(story.all_pass())
        cluster.wait(fuse.blown)
        if forgotten:
            cluster.forget_messages()
        cluster.wait(lambda: set(cluster.ready()) == set(cluster.names()))
        yield

    return waiting


def while_credly_says(answer: dict[str, object], sign: str) -> Waiting:
    """Badges wait for another try, for as long as Credly fails.  `sign` selects something once that is so."""

    @contextmanager
    def waiting(cluster: Cluster, story: Story) -> Iterator[None]:
        fault = cluster.credly("POST", "faults", answer)
        cluster.play(story.all_pass())
        cluster.wait(lambda: cluster.query(sign))
        yield
        cluster.credly("DELETE", f"faults/{fault['id']}")

    return waiting


def _gate(reason: str) -> str:
    return f"SELECT 1 FROM pipeline_organization WHERE gate_reason = '{reason}'"


WAITING: dict[str, Waiting] = {
    "an event that was not handed over": killed_at("stored, not nudged", forgotten=True),
    "an event that is taken up": killed_at("decided, not committed", forgotten=True),
    "a badge that was not handed over": killed_at("committed, not handed over", forgotten=True),
    "a badge that is claimed": killed_at("answered, not recorded"),
    "a signal that is claimed": killed_at("signal claimed, not published"),
    "a badge to be tried again": while_credly_says(
        {"preset": "500", "match": {"method": "POST"}},
        "SELECT 1 FROM pipeline_badge WHERE attempts > 3 AND claim IS NULL",
    ),
    "a key that is refused": while_credly_says({"preset": "401"}, _gate("key refused")),
    "an organization that is throttled": while_credly_says({"preset": "429", "retry_after": 20}, _gate("throttled")),
}


def waits_while_set(cluster: Cluster, what: str, step: str) -> Story:
    """The fault: what waits for a time sees the clock set."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    with WAITING[what](cluster, story):
        cluster.clock.step(STEPS[step])
    cluster.play(story.all_fail("B", hour=14))
    return story


@pytest.mark.parametrize(("what", "step"), sample(list(product(WAITING, STEPS)), 3))
def test_work_goes_on_when_the_clock_was_set(cluster, what, step):
    story = waits_while_set(cluster, what, step)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_work_stands_still_where_waits_do_not_begin_anew(cluster):
    with cluster.without("waits begin anew when the clock was set"):
        waits_while_set(cluster, "a badge that is claimed", "an hour back")
        assert "badge(s) due" in " ".join(cluster.settle(LONG_ENOUGH))
    cluster.settle()


def test_work_stands_still_where_beat_waits_for_the_old_time(cluster):
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    with cluster.without("beat goes on when the clock was set back"):
        cluster.clock.step(STEPS["an hour back"])
        with WAITING["a badge that was not handed over"](cluster, story):
            assert "badge(s) due" in " ".join(cluster.settle(LONG_ENOUGH))
    cluster.strike("beat.1", Blow.KILL)  # it sleeps for minutes by now
    cluster.settle()
