"""A worker that is killed, stopped or paused while it revokes: one revocation, one signal, and the badge earned again waits."""

from itertools import product

import pytest

from tests.faults.cluster import SMALL
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import sample
from tests.faults.trial import CASES_OF_OTHERS, assert_nothing_violated, strike_at

NUMBERS = {**SMALL, "credly": 2}
OURS = [point.name for point in POINTS.values() if point.revokes]


@pytest.mark.parametrize("point", sample(OURS, 2))
def test_a_revocation_whose_worker_was_killed_is_carried_out_and_told_once(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.KILL))


@pytest.mark.parametrize(("point", "blow"), sample(list(product(OURS, CASES_OF_OTHERS)), 1))
def test_so_is_one_whose_worker_was_stopped_or_paused(cluster, point, blow):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], blow))
