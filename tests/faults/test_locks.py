"""Locks on the database server are held for longer than a claim lasts, or in a deadlock: all wait, none gives up."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.faults import pace
from tests.faults.cluster import SMALL, Cluster
from tests.faults.databases import SERVER
from tests.faults.selection import ALL, SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import refused_rows

NUMBERS = {**SMALL, "consumer": 2, "worker": 2}
DATABASE = partial(SERVER, lock_seconds=1)
LOCKED_SECONDS = pace.CLAIM_SECONDS + 2
TABLES = ("event", "learner", "progress", "badge", "badgehistory", "signal", "template")
LOCKS = [
    *map(SERVER.lock, TABLES),
    *(f"SELECT id FROM pipeline_{table} FOR UPDATE" for table in ("learner", "fulfillment", "badge")),
]
LEARNERS = "SELECT id FROM pipeline_learner FOR UPDATE"
VERSION = SERVER.lock("configurationversion")
HISTORY = SERVER.lock("badgehistory", to_write=True)


@pytest.fixture
def story(cluster: Cluster) -> Iterator[Story]:
    """Learners who hold a badge; what a test had set aside is brought back before the next."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    yield story
    cluster.manage("redrive")
    cluster.settle()


def set_aside(cluster: Cluster) -> bool:
    """Whether an event or badge was; which nobody can see while the table itself is locked."""
    try:
        return bool(refused_rows(cluster))
    except cluster.database.LockTimeout:
        return False


def hold(cluster: Cluster, story: Story, lock: str, seconds: float = LOCKED_SECONDS) -> None:
    """Have the learners of a story lose their badges while somebody else holds a lock, or until a row was set aside."""
    if lock == HISTORY:  # which every stage writes: have it locked when Credly answers
        slow = {
            "match": {"method": "PUT", "path": "/badges"},
            "delay": 2,
            "when": "before",
            "times": len(story.learners),
        }
        cluster.credly("POST", "faults", slow)
        cluster.play(story.all_fail(hour=3))
        cluster.wait(lambda: cluster.credly("GET", "requests?method=PUT&fault=custom")["requests"])
    with cluster.database.locked(lock):
        if lock != HISTORY:
            cluster.play(story.all_fail(hour=3))
        cluster.wait(cluster.database.waits_for_a_lock)
        until = time.monotonic() + seconds
        cluster.wait(lambda: time.monotonic() > until or set_aside(cluster), 2 * seconds)


@pytest.mark.parametrize("lock", sample(LOCKS, 1))
def test_a_lock_that_is_held_for_longer_than_a_claim_lasts_is_waited_for(cluster, story, lock):
    hold(cluster, story, lock)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_a_worker_that_is_the_victim_of_a_deadlock_tries_again(cluster, story):
    before = cluster.database.deadlocks()
    with cluster.database.locked(LEARNERS, SERVER.NO_VICTIM) as other, ThreadPoolExecutor(1) as pool:
        playing = pool.submit(cluster.play, story.all_fail(hour=3))
        while not cluster.database.waits_for_a_lock():  # no longer than it takes to look for a deadlock
            time.sleep(0.02)
        other.execute("SELECT id FROM pipeline_event FOR UPDATE")
        playing.result()
    cluster.wait(lambda: cluster.database.deadlocks() > before)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


EVENT, BADGE = (f"the database's faults are not counted against {row}" for row in ("an event", "a badge"))
COUNTED = [
    # a lock, and the protection without which it ends in something set aside
    (VERSION, EVENT),
    (LEARNERS, EVENT),
    (HISTORY, BADGE),
]
LONG_LOCKED_SECONDS = 60
"""More than four times as long as a claim lasts and a statement waits."""


@pytest.mark.parametrize(("lock", "protection"), COUNTED if ALL else sample(COUNTED[:2], 1))
def test_a_long_lock_ends_in_rows_set_aside_without(cluster, story, lock, protection):
    with cluster.without(protection):
        hold(cluster, story, lock, LONG_LOCKED_SECONDS)
        cluster.settle()  # what is set aside says so in the badge history too
        failed = refused_rows(cluster)
    assert any("Taken up" in reason for reason in failed.values()), failed


@pytest.mark.skipif(not ALL, reason="takes as long as the lock is held")
@pytest.mark.parametrize("lock", [lock for lock, _ in COUNTED])
def test_the_same_lock_sets_nothing_aside_with(cluster, story, lock):
    hold(cluster, story, lock, LONG_LOCKED_SECONDS)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)
