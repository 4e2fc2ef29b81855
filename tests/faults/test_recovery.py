"""Work goes on within 60 seconds after SIGKILL of any process, with the broker's memory or without.  Nothing is shortened.

All cases run at once, each in a cluster of its own: nearly all of the time is waiting.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.fuses import Blow
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.witness import Violation, violations

PROMISED_SECONDS = 60
PROCESSES = {
    # what is killed: where, and how
    "consumer": ("stored, not nudged", Blow.KILL),
    "worker": ("decided, not committed", Blow.KILL),
    "child of the worker": ("decided, not committed", Blow.KILL_CHILD),
    "credly": ("answered, not recorded", Blow.KILL),
    "beat": ("committed, not handed over", Blow.KILL),
}
CASES = [(process, memory) for process in PROCESSES for memory in ("kept", "wiped")]
CHOSEN = sample(CASES, 3)


def recovery(folder: Path, process: str, memory: str) -> tuple[float, list[Violation]]:
    """Seconds from the kill until nothing waited any more, and what is wrong then."""
    point, blow = PROCESSES[process]
    with Cluster(folder, quick=False, seed=SEED) as cluster:
        story = Story(cluster.school, SEED, learners=1, events_each=0)
        fuse = cluster.arm(point, blow)
        cluster.play(story.all_pass())
        cluster.wait(fuse.blown)
        killed_at = time.monotonic()
        if process == "beat":
            cluster.strike("beat.1", Blow.KILL)
        if memory == "wiped":
            cluster.forget_messages()
        cluster.wait(lambda: not cluster.waiting(), 3 * PROMISED_SECONDS)
        seconds = time.monotonic() - killed_at
        return seconds, violations(cluster, story)


@pytest.fixture(scope="module")
def recoveries(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, str], tuple[float, list[Violation]]]]:
    folders = [tmp_path_factory.mktemp(f"{process}-{memory}") for process, memory in CHOSEN]
    with ThreadPoolExecutor(len(CHOSEN)) as pool:
        yield dict(zip(CHOSEN, pool.map(recovery, folders, *zip(*CHOSEN, strict=True)), strict=True))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("process", "memory"), CHOSEN)
def test_work_goes_on_within_a_minute_after_a_kill_with_the_memory_of_the_broker(recoveries, process, memory):
    seconds, found = recoveries[process, memory]
    print(f"{process} killed, the broker's memory {memory}: {seconds:.0f} s")  # noqa: T201 - shown by pytest -rP
    assert found == []
    assert seconds <= PROMISED_SECONDS
