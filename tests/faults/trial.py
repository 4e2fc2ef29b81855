"""One fault: arm it, play, let it strike, wait, and judge."""

import os

from tests.faults.cluster import Cluster
from tests.faults.fuses import Blow
from tests.faults.points import Point
from tests.faults.school import School
from tests.faults.selection import SEED
from tests.faults.story import Story
from tests.faults.witness import violations

CASES_OF_A_WORKER = (Blow.STOP, Blow.PAUSE, Blow.KILL_CHILD)
CASES_OF_OTHERS = (Blow.STOP, Blow.PAUSE)


def strike_at(cluster: Cluster, point: Point, blow: Blow, school: School | None = None) -> Story:
    """Strike the process that is the first to reach a point.  Returns what was played, once nothing waits any more."""
    story = Story(school or cluster.school, SEED, learners=3, events_each=0 if point.revokes else 4)
    if point.revokes:
        cluster.play(story.all_pass())
        cluster.settle()
    else:
        story.all_pass(hour=13)
    fuse = cluster.arm(point.name, blow)
    cluster.play(story.all_fail() if point.revokes else story.delivery())
    cluster.wait(fuse.blown)
    if point.revokes:
        cluster.play(story.all_pass(hour=3))
    cluster.settle()
    return story


def assert_nothing_violated(cluster: Cluster, story: Story) -> None:
    """Fail with one readable report, with the seed and the command that repeats the test.

    Raises:
        AssertionError: a promise is broken.
    """
    found = violations(cluster, story)
    if found:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
        command = f'FAULTS=all FAULTS_SEED={SEED} DEBUG=true .venv/bin/python -m pytest "{test}"'
        lines = [
            f"{len(found)} violation(s), seed {SEED}:",
            *map(str, found),
            f"Logs: {cluster.folder}/logs",
            f"Again: {command}",
        ]
        raise AssertionError("\n  ".join(lines))
