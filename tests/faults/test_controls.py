"""Controls: a fault breaks a promise as soon as the protection against it is off.  Else its test would prove nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.faults import pace
from tests.faults.cluster import SMALL, Cluster
from tests.faults.fuses import Blow
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import violations
from tests.system.conditions import eventually

NUMBERS = {**SMALL, "consumer": 2}
LONG_ENOUGH = 3 * pace.CLAIM_SECONDS
"""Seconds after which what still waits waits for ever: all waits are over by then."""


def killed_at(point: str) -> Callable[[Cluster], Story]:
    """The fault of being killed at a point."""

    def fault(cluster: Cluster) -> Story:
        # One learner: what a neighbour in the killed process had done and not handed on is another fault.
        story = Story(cluster.school, SEED, learners=1, events_each=0)
        armed = cluster.arm(point, Blow.KILL)
        cluster.play(story.all_pass())
        cluster.wait(armed.blown)
        return story

    return fault


def killed_and_forgotten(cluster: Cluster) -> Story:
    """Killed before the hand-over, and the broker forgets that there was a task."""
    story = killed_at("committed, not handed over")(cluster)
    cluster.forget_messages()
    return story


def killed_for_good(cluster: Cluster) -> Story:
    """A consumer dies with messages in hand, and nobody of its name comes back."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    armed = cluster.arm("read, not stored", Blow.KILL)
    cluster.play(story.all_pass())
    eventually(armed.blown)
    cluster.dismiss(cluster.struck_by(armed))
    return story


def delivered_late(cluster: Cluster) -> Story:
    """An older event comes after the newer one that undoes it."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    passes, fails = story.all_pass(hour=1), story.all_fail(hour=2)
    for events in (fails, passes):
        cluster.play(events)
        cluster.settle()
    return story


def two_workers_on_one_badge(cluster: Cluster) -> Story:
    """A call to issue takes long, and housekeeping goes on nudging."""
    story = Story(cluster.school, SEED, learners=1, events_each=0)
    slow = {"match": {"method": "POST", "path": "/badges"}, "delay": 3, "when": "before", "times": 1}
    cluster.credly("POST", "faults", slow)
    cluster.play(story.all_pass())
    cluster.wait(lambda: _answered(cluster))
    return story


def _answered(cluster: Cluster) -> bool:
    """Whether the slow call has had its effect."""
    slow = cluster.credly("GET", "requests?method=POST&fault=custom")["requests"]
    return bool(slow) and slow[-1]["status"] is not None


@dataclass(frozen=True)
class Control:
    """A protection, a fault that it protects from, and words of the violation that shows without it.

    `alone` names a second protection that would hide that the first is off, and is off in any case.
    """

    protection: str
    fault: Callable[[Cluster], Story]
    violation: str
    alone: str | None = None


CONTROLS = [
    Control("messages are acknowledged after they are stored", killed_at("read, not stored"), "is not in the inbox"),
    Control("what a dead consumer holds is claimed", killed_for_good, "is not in the inbox"),
    Control("an event that is known falls away", killed_at("stored, not acknowledged"), "never played"),
    Control(
        "tasks are acknowledged after they ran",
        killed_at("decided, not committed"),
        "event(s) received",
        alone="housekeeping",
    ),
    Control("housekeeping", killed_and_forgotten, "badge(s) due"),
    Control("the newest event decides", delivered_late, "live badge(s), should hold 0"),
    Control("a claim keeps others away", two_workers_on_one_badge, "held 2 live badges"),
    Control("Credly is looked at before a call is repeated", killed_at("answered, not recorded"), "held 2 live badges"),
    Control("a signal is written with the fact it tells", killed_at("signal claimed, not published"), "signals about"),
    Control("a signal is marked after it was published", killed_at("signal claimed, not published"), "signals about"),
]
BY_NAME = {control.protection: control for control in CONTROLS}


@pytest.fixture
def healed(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster; what a test left undone is done before the next."""
    yield cluster
    cluster.recall()
    cluster.settle()


@pytest.mark.parametrize("protection", BY_NAME)
def test_a_promise_is_broken_without(healed, protection):
    control = BY_NAME[protection]
    with healed.without(protection, control.alone):
        story = control.fault(healed)
        healed.settle(LONG_ENOUGH)
        found = violations(healed, story)
    assert any(control.violation in str(line) for line in found), found


@pytest.mark.parametrize("protection", sample(list(BY_NAME), 3))
def test_the_same_fault_breaks_nothing_with(healed, protection):
    control = BY_NAME[protection]
    with healed.without(control.alone):
        story = control.fault(healed)
        healed.settle()
        assert_nothing_violated(healed, story)
