"""A worker that is killed, stopped or paused while it calls Credly: one badge, one signal, whatever was answered.

Credly's own net is off, but for one case: who is paused between the last look at his claim and the call can't know that
another made the call meanwhile.  Nobody but Credly can tell, and it does unless a template allows duplicates.
"""

from itertools import product

import pytest

from tests.faults.cluster import SMALL
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.school import School
from tests.faults.selection import sample
from tests.faults.trial import CASES_OF_OTHERS, assert_nothing_violated, strike_at

NUMBERS = {**SMALL, "credly": 2}
ISSUING = [
    point.name for point in POINTS.values() if point.process == "credly" and not (point.revokes or point.observes)
]
ONLY_CREDLY_CAN_TELL = ("claimed, not sent", Blow.PAUSE)


@pytest.mark.parametrize("point", sample(ISSUING, 3))
def test_a_badge_whose_worker_was_killed_is_issued_once_and_told_once(cluster, point):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], Blow.KILL))


@pytest.mark.parametrize(
    ("point", "blow"),
    sample([case for case in product(ISSUING, CASES_OF_OTHERS) if case != ONLY_CREDLY_CAN_TELL], 2),
)
def test_so_is_one_whose_worker_was_stopped_or_paused(cluster, point, blow):
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], blow))


def test_credly_itself_refuses_the_second_call_of_a_worker_that_was_paused_just_before_it(cluster):
    school = School(cluster, allow_duplicates=False)
    school.open()
    point, blow = ONLY_CREDLY_CAN_TELL
    assert_nothing_violated(cluster, strike_at(cluster, POINTS[point], blow, school))
