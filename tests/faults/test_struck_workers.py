"""A worker that is killed, with its parent or alone, stopped or paused at any point: every effect happens once."""

from itertools import product

import pytest

from tests.faults.cluster import SMALL
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import sample
from tests.faults.trial import CASES_OF_A_WORKER, assert_nothing_violated, strike_at

NUMBERS = {**SMALL, "worker": 2}
OURS = [point.name for point in POINTS.values() if point.process == "worker"]


@pytest.mark.parametrize("point", sample(OURS, 3))
def test_what_a_killed_worker_had_in_hand_happens_once(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.KILL))


@pytest.mark.parametrize(("point", "blow"), sample(list(product(OURS, CASES_OF_A_WORKER)), 2))
def test_so_does_what_one_had_that_is_stopped_or_paused_or_whose_child_is_killed(cluster, point, blow):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], blow))
