"""The database server restarts, is away and cuts connections while events come in: nothing is lost, doubled or false."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.lms.events import LmsEvent
from tests.faults import pace
from tests.faults.cluster import SMALL, Cluster
from tests.faults.databases import SERVER
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated, strike_at
from tests.faults.witness import violations

NUMBERS = {**SMALL, "consumer": 2, "worker": 2}
DATABASE = SERVER
WAY = [point.name for point in POINTS.values() if not point.observes]
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for ever: all waits are over by then."""


def batter(cluster: Cluster, events: Sequence[LmsEvent], strike: Callable[[Cluster], int], seconds: float = 6) -> int:
    """Strike again and again while events come in and are worked on.  Returns how often something was hit."""
    hits = 0
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(cluster.play, events)
        while not playing.done() or (time.monotonic() < until and cluster.waiting()):
            hits += strike(cluster)
            cluster.tend()
        playing.result()
    return hits


def crash(cluster: Cluster) -> int:
    cluster.database.crash()
    time.sleep(0.3)  # in between some work is done
    return 1


def cut(cluster: Cluster) -> int:
    hits = cluster.database.cut()
    time.sleep(0.02)
    return hits


def restart(cluster: Cluster) -> int:
    cluster.database.restart()
    time.sleep(0.3)
    return 1


def away(cluster: Cluster) -> int:
    with cluster.database.away():
        until = time.monotonic() + 10
        cluster.wait(lambda: time.monotonic() > until)
    return 1


def test_any_order_and_repeats_end_on_a_server_as_the_rules_say(cluster):
    story = Story(cluster.school, SEED, learners=6)
    cluster.play(story.delivery())
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


@pytest.mark.parametrize("point", sample(WAY, 1))
def test_what_a_killed_process_had_in_hand_happens_once_on_a_server(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.KILL))


@pytest.mark.parametrize("point", sample(WAY, 2))
def test_what_was_in_hand_when_the_connection_was_cut_happens_once(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.CUT))


@pytest.mark.parametrize("strike", sample([crash, restart, away, cut], 1))
def test_nothing_is_lost_and_nobody_ends_when_the_server_fails_again_and_again(cluster, strike):
    story = Story(cluster.school, SEED, learners=6)
    restarts = cluster.restarts
    assert batter(cluster, story.delivery(), strike)
    assert cluster.settle() == []
    assert cluster.restarts == restarts
    assert_nothing_violated(cluster, story)


CUTS = {
    # a protection, where the connection is cut, and the violation that shows without it
    "messages are acknowledged after they are stored": ("inserted, not committed", "is not in the inbox"),
    "housekeeping": ("decided, not committed", "event(s) received"),
    "Credly is looked at before a call is repeated": ("answered, not recorded", "held 2 live badges"),
}


@pytest.mark.parametrize("protection", sample(list(CUTS), 1))
def test_a_cut_connection_breaks_a_promise_without(cluster, protection):
    point, violation = CUTS[protection]
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    with cluster.without(protection):
        fuse = cluster.arm(point, Blow.CUT)
        cluster.play(story.all_pass())
        cluster.wait(fuse.blown)
        cluster.settle(LONG_ENOUGH)
        found = violations(cluster, story)
    cluster.settle()
    assert any(violation in str(line) for line in found), found
