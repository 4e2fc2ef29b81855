"""Redis is restarted, empty, full, and its connections are cut: what it had acknowledged is done, and done once."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.faults import pace
from tests.faults.cluster import SMALL, TOPIC, Cluster
from tests.faults.fuses import Blow
from tests.faults.redis_faults import away, cut, full, insist
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import violations

NUMBERS = {**SMALL, "worker": 2}
READING = ("brpop", "xreadgroup")
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for ever: all waits are over by then."""


def restarted(cluster: Cluster) -> Story:
    """Killed and started again, several times while events come in."""

    def restart() -> None:
        with away(cluster):
            pass

    return _struck_while_events_come_in(cluster, 3, restart)


def cut_off(cluster: Cluster) -> Story:
    """All connections are cut, and again as soon as everybody who reads is back, while events come in."""
    readers = len(cluster.names()) - len(cluster.names("beat"))

    def cut_again() -> None:
        cluster.wait(lambda: sum(each["cmd"] in READING for each in cluster.bus.client_list()) == readers)
        cut(cluster)

    return _struck_while_events_come_in(cluster, 5, cut_again)


def away_with_work_in_hand(cluster: Cluster) -> Story:
    """Away until a signal was to be published, and Credly has answered."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    _slow_down_credly(cluster, calls=2)
    paused = cluster.arm("signal claimed, not published", Blow.PAUSE)
    cluster.play(story.all_pass())
    cluster.wait(paused.blown)
    with away(cluster):
        cluster.wait(lambda: _refused_signals(cluster))
        cluster.wait(lambda: _issued(cluster, story) == len(story.learners))
    return story


def emptied(cluster: Cluster) -> Story:
    """Back with nothing in it, when events are in the inbox and nothing is told yet; then there are new events."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    _slow_down_credly(cluster, calls=3)
    cluster.play(story.all_pass())
    cluster.wait(lambda: not any("unread" in what for what in cluster.waiting()))
    with away(cluster, forgetting=True):
        assert _issued(cluster, story) == 0
    cluster.play(story.all_fail("B"))
    return story


def full_at(point: str, refused: Callable[[Cluster], int], cluster: Cluster) -> Story:
    """Full when a process goes on that was paused at a point, until something was refused."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    paused = cluster.arm(point, Blow.PAUSE)
    cluster.play(story.all_pass())
    cluster.wait(paused.blown)
    before = refused(cluster)
    with full(cluster):
        cluster.wait(lambda: refused(cluster) > before)
    return story


def _struck_while_events_come_in(cluster: Cluster, times: int, strike: Callable[[], object]) -> Story:
    story = Story(cluster.school, SEED, learners=10, events_each=20)
    playing = threading.Thread(target=insist, args=(cluster, story.delivery()))
    playing.start()
    for _ in range(times):
        enough = cluster.bus.xlen(TOPIC) + 20
        cluster.wait(lambda enough=enough: cluster.bus.xlen(TOPIC) > enough or not playing.is_alive())
        strike()
    cluster.wait(lambda: not playing.is_alive())
    return story


def _slow_down_credly(cluster: Cluster, calls: int) -> None:
    slow = {"match": {"method": "POST", "path": "/badges"}, "delay": 3, "when": "before", "times": calls}
    cluster.credly("POST", "faults", slow)


def _issued(cluster: Cluster, story: Story) -> int:
    """How many badges of the learners of a story Credly holds, as far as we know."""
    users = ",".join(str(learner.id) for learner in story.learners)
    sql = (
        "SELECT COUNT(*) FROM pipeline_badge JOIN pipeline_learner ON pipeline_learner.id = learner_id "
        f"WHERE lms_user_id IN ({users}) AND credly_id IS NOT NULL"
    )
    return int(cluster.query(sql)[0][0])


def _refused_nudges(cluster: Cluster) -> int:
    """How often a process could not hand work over."""
    return sum(process.output().count("The broker did not take") for process in cluster.processes.values())


def _refused_signals(cluster: Cluster) -> int:
    """How many signals the bus did not take at the last attempt."""
    sql = "SELECT COUNT(*) FROM pipeline_signal WHERE error <> ''"
    return int(cluster.query(sql)[0][0])


EMPTY = "empty, with events in the inbox"
FAULTS: dict[str, Callable[[Cluster], Story]] = {
    "restarted while events come in": restarted,
    "away with work in hand": away_with_work_in_hand,
    EMPTY: emptied,
    "full when the consumer hands over": partial(full_at, "stored, not nudged", _refused_nudges),
    "full when a worker hands over": partial(full_at, "committed, not handed over", _refused_nudges),
    "full when a signal is published": partial(full_at, "signal claimed, not published", _refused_signals),
    "cut off while events come in": cut_off,
}

CONTROLS = {
    # protection: the fault, and words of the violation that shows without it
    "housekeeping": ("full when the consumer hands over", "event(s) received"),
    "what the bus did not take is published later": ("full when a signal is published", "signals about"),
    "a group that is gone is made again": (EMPTY, "message(s) unread"),
}


@pytest.fixture
def healed(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster; what a test left undone is done before the next."""
    yield cluster
    cluster.settle()


@pytest.mark.parametrize("fault", sample(list(FAULTS), 2))
def test_nothing_is_lost_or_doubled_when_redis_is(healed, fault):
    restarts, known = healed.restarts, len(healed.gaps())
    story = FAULTS[fault](healed)
    healed.settle()
    assert_nothing_violated(healed, story)
    assert healed.restarts == restarts, f"somebody ended: see {healed.folder}/logs"
    assert len(healed.gaps()) - known == (fault == EMPTY), "only what came back empty has lost something"


@pytest.mark.parametrize("protection", sample(list(CONTROLS), 1))
def test_a_promise_is_broken_under_the_same_fault_without(healed, protection):
    fault, violation = CONTROLS[protection]
    with healed.without(protection):
        story = FAULTS[fault](healed)
        healed.settle(LONG_ENOUGH)
        found = violations(healed, story)
    assert any(violation in str(line) for line in found), found


def test_nobody_hears_that_redis_came_back_empty_without(healed):
    known = healed.gaps()
    with healed.without("a bus that came back empty is told"):
        emptied(healed)
        healed.settle()
    assert healed.gaps() == known
