"""On a database server a consumer reads ahead.  Killed with two reads in hand it loses neither, and nothing happens twice."""

from collections.abc import Iterator

import pytest

from tests.faults import pace
from tests.faults.cluster import GROUP, SMALL, TOPIC, Cluster
from tests.faults.databases import SERVER
from tests.faults.fuses import Blow
from tests.faults.pace import FEW_MESSAGES
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import violations

KILLED = "consumer.1"
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for ever: all waits are over by then."""


class SmallBatches(Cluster):
    """A read brings few messages."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, pace.VARIABLE: pace.SMALL_BATCHES}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with SmallBatches(folder, numbers={**SMALL, "consumer": 2}, seed=SEED, database=SERVER) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """What a test left undone is done before the next."""
    yield running
    running.recall()
    running.settle()


def held(cluster: Cluster) -> int:
    """How many messages the consumer that is to be killed was given and has not acknowledged."""
    consumers = cluster.bus.xinfo_consumers(TOPIC, GROUP)
    return sum(int(each["pending"]) for each in consumers if each["name"] == f"{KILLED}.1".encode())


def killed_with_two_reads_in_hand(cluster: Cluster) -> Story:
    """Nothing can be stored when the consumer is killed, so that it has read, stored nothing, and read ahead."""
    for name in cluster.names("consumer"):
        cluster.strike(name, Blow.KILL)
    story = Story(cluster.school, SEED, learners=6 * FEW_MESSAGES, events_each=0)
    cluster.play(story.all_pass())
    with cluster.database.locked(SERVER.lock("event", to_write=True)):
        cluster.wait(lambda: held(cluster) >= 2 * FEW_MESSAGES)
        cluster.strike(KILLED, Blow.KILL)
    return story


@pytest.mark.parametrize("is_started_again", sample([True, False], 1))
def test_both_reads_of_a_killed_consumer_are_done_once(cluster, is_started_again):
    story = killed_with_two_reads_in_hand(cluster)
    if not is_started_again:
        cluster.dismiss(KILLED)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_both_reads_would_be_lost_if_nobody_claimed_them(cluster):
    with cluster.without("what a dead consumer holds is claimed"):
        story = killed_with_two_reads_in_hand(cluster)
        cluster.dismiss(KILLED)
        in_hand = held(cluster)
        cluster.settle(LONG_ENOUGH)
        found = violations(cluster, story)
    assert sum("is not in the inbox" in str(line) for line in found) == in_hand >= 2 * FEW_MESSAGES
