"""Credly is away for three days, or refuses the key: then all goes on unaided, and meanwhile nobody storms it.

The test drives the clock: days pass for the system as fast as it has nothing to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.configuration.gate import MOST_FAILURES
from tests.faults import pace
from tests.faults.cluster import Cluster
from tests.faults.line import Line
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated

HOURS = 72
JUMP = 2
"""Hours that pass at a time while Credly is away."""
CALLS_A_JUMP = 2
"""That Credly may see at the most once the gate is closed: no more than a moment lies between two jumps."""
AT_ONCE = 4
"""Calls that may be on their way when the gate closes."""

IT_IS_DRIVEN = "waits begin anew when the clock was set"
"""Off here: time passes, and nobody sets a clock."""

QUIET = """
SELECT NOT EXISTS (SELECT 1 FROM pipeline_event WHERE status = 'received')
   AND NOT EXISTS (SELECT 1 FROM pipeline_badge WHERE claim IS NOT NULL)
   AND (EXISTS (SELECT 1 FROM pipeline_organization WHERE call_again_at > %s)
        OR NOT EXISTS (SELECT 1 FROM pipeline_badge WHERE due_at <= %s))
"""


class DrivenCluster(Cluster):
    """Goes by a clock that the test drives, and reaches Credly over `line`."""

    def __init__(self, folder: Path) -> None:
        self.line = Line()
        super().__init__(folder, seed=SEED, own_clock=True)

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.line.port}/v1/"
        return {**super().environment, pace.VARIABLE: pace.DRIVEN, "CREDLY_API_BASE_URL": url}

    def mend_line(self) -> None:
        """Credly can be reached."""
        port = urlsplit(self.credly_url).port
        assert port is not None
        self.line.mend(port)

    def drive(self, by: timedelta) -> None:
        """So much time passes, and all that it makes due is done."""
        self.clock.step(by)
        self.wait(self.is_quiet)

    def is_quiet(self) -> bool:
        """Whether nothing is left to do at this moment, but for what must not be asked of Credly now."""
        if any("unread" in what or "signal" in what for what in self.waiting()):
            return False
        now = f"{self.clock.now():%Y-%m-%d %H:%M:%S.%f}"
        return bool(self.query(QUIET, (now, now))[0][0])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DrivenCluster]:
    made = DrivenCluster(tmp_path)
    made.mend_line()
    try:
        with made, made.without(IT_IS_DRIVEN):
            yield made
    finally:
        made.line.cut()


@contextmanager
def unreachable(cluster: DrivenCluster) -> Iterator[None]:
    cluster.line.cut()
    yield
    cluster.mend_line()


@contextmanager
def unavailable(cluster: DrivenCluster) -> Iterator[None]:
    cluster.credly("POST", "faults", {"preset": "503"})
    yield
    cluster.credly("DELETE", "faults")


@contextmanager
def key_dead(cluster: DrivenCluster) -> Iterator[None]:
    cluster.credly("POST", "faults", {"preset": "401"})
    yield
    cluster.credly("DELETE", "faults")


@pytest.mark.parametrize("outage", sample([unreachable, unavailable, key_dead], 1), ids=lambda outage: outage.__name__)
def test_after_three_days_without_credly_all_is_made_good_within_an_hour(cluster, outage):
    early, late = (Story(cluster.school, SEED + number, learners=10, events_each=0) for number in range(2))
    cluster.play(early.all_pass("A", hour=1) + early.all_pass("B", hour=1))
    cluster.wait(cluster.is_quiet)
    plan = {
        2: lambda: late.all_pass("A", hour=2),
        20: lambda: early.all_fail("B", hour=3) + late.all_pass("C", hour=3),
        50: lambda: early.all_fail("A", hour=4) + late.all_fail("A", hour=4) + late.all_pass("A", hour=5),
    }
    before = calls(cluster)
    with outage(cluster):
        for hour in range(0, HOURS, JUMP):
            if hour in plan:
                cluster.play(plan[hour]())
            cluster.drive(timedelta(hours=JUMP))
        seen = calls(cluster) - before
    print(f"Credly saw {seen} calls in {HOURS} hours")  # noqa: T201 - shown by pytest -rP
    assert seen <= MOST_FAILURES + AT_ONCE + CALLS_A_JUMP * HOURS / JUMP
    for _ in range(12):
        cluster.drive(timedelta(minutes=5))
    assert cluster.settle() == []
    assert_nothing_violated(cluster, early)
    assert_nothing_violated(cluster, late)


def calls(cluster: DrivenCluster) -> int:
    """That Credly saw so far."""
    return len(cluster.credly("GET", "requests")["requests"])
