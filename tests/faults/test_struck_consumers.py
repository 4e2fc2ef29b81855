"""A consumer that is killed, stopped or paused at any point: no event is lost, none counts twice."""

from itertools import product

import pytest

from tests.faults.cluster import SMALL
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import sample
from tests.faults.trial import CASES_OF_OTHERS, assert_nothing_violated, strike_at

NUMBERS = {**SMALL, "consumer": 2}
OURS = [point.name for point in POINTS.values() if point.process == "consumer"]


@pytest.mark.parametrize("point", OURS)
def test_a_killed_consumer_loses_nothing_and_repeats_nothing(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.KILL))


@pytest.mark.parametrize(("point", "blow"), sample(list(product(OURS, CASES_OF_OTHERS)), 2))
def test_nor_does_one_that_is_stopped_or_paused(cluster, point, blow):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], blow))
