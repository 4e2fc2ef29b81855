"""Many of one badge under fire: a learner passes five courses at once, and Credly ends with five badges of one template.

Credly refuses no second one, and can't tell them apart; so a call whose answer was lost, or whose worker died, could well
end in six.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest

from pipeline.lms.events import LmsLearner
from tests.faults import pace
from tests.faults.cluster import SMALL, Cluster
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import SEED, sample
from tests.faults.test_struck_credly_workers import ISSUING, ONLY_CREDLY_CAN_TELL
from tests.faults.trial import CASES_OF_OTHERS
from tests.system.academy import Academy, learner, penalty, requirement

COURSES = range(5)
LIVE = ("pending", "accepted")


class ImpatientCluster(Cluster):
    """Its calls to Credly end soon when no answer comes."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, pace.VARIABLE: pace.IMPATIENT}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ImpatientCluster(tmp_path_factory.mktemp("cluster"), numbers={**SMALL, "credly": 2}, seed=SEED) as running:
        yield running


@dataclass
class Many:
    """A template with a badge for each course, taken back by failing that course; and one learner."""

    cluster: Cluster
    who: LmsLearner = field(default_factory=learner)

    def __post_init__(self) -> None:
        self.academy = Academy(self.cluster)
        ours = ("course.course_key", "starts_with", self.course(""))
        self.template = self.academy.template(
            [requirement("any", ("is_passing", "eq", "true"), ours)],
            [penalty("failed", ["any"], ("is_passing", "eq", "false"), ours)],
            per="course.course_key",
            reaward=True,
            allow_duplicates=True,
        )

    def course(self, number: int | str) -> str:
        return f"course-v1:Many+{self.academy.organization[:8]}+{number}"

    def all_pass(self) -> None:
        events = [self.academy.passes(self.who, self.course(number)) for number in COURSES]
        self.cluster.play(self.cluster.draw.sample(events, len(events)))

    def assert_exactly(self, *held: int, of: int = len(COURSES)) -> None:
        """Credly holds a badge for each of these courses, known here by its id, and ever issued `of`.

        Each was told, and each that was revoked too; and our own comparison with Credly finds no difference.
        """
        at_credly = {badge["id"]: badge["state"] for badge in self.academy.badges_at_credly(self.template, self.who)}
        rows = self.cluster.query(
            "SELECT badge.value, badge.standing, badge.credly_id FROM pipeline_badge badge "
            "JOIN pipeline_learner learner ON learner.id = badge.learner_id "
            f"WHERE learner.lms_user_id = {self.who.id}"
        )
        ids = {
            str(value): str(credly_id).replace("-", "") for value, standing, credly_id in rows if standing == "awarded"
        }
        assert sorted(ids) == [self.course(number) for number in held]
        assert sorted(ids.values()) == sorted(
            each.replace("-", "") for each, state in at_credly.items() if state in LIVE
        )
        assert len(at_credly) == of
        assert self.told() == Counter(awarded=of, revoked=of - len(held))
        assert self.cluster.reconcile(self.academy.organization) == []

    def told(self) -> Counter[str]:
        """The signals about the learner that were put on the bus, by what they tell."""
        rows = self.cluster.query(
            "SELECT signal.event_type FROM pipeline_signal signal "
            "JOIN pipeline_badge badge ON badge.id = signal.badge_id "
            "JOIN pipeline_learner learner ON learner.id = badge.learner_id "
            f"WHERE signal.state = 'sent' AND learner.lms_user_id = {self.who.id}"
        )
        return Counter(str(event_type).split(".")[-2] for (event_type,) in rows)


def strike(cluster: Cluster, point: str, blow: Blow) -> None:
    """While the five are issued, one of the workers is struck; in the end there are five."""
    many = Many(cluster)
    fuse = cluster.arm(point, blow, nth=cluster.draw.choice(COURSES) + 1)
    many.all_pass()
    cluster.wait(fuse.blown)
    cluster.settle()
    many.assert_exactly(*COURSES)


@pytest.mark.parametrize("point", sample(ISSUING, 2))
def test_a_worker_that_was_killed_leaves_five_and_never_six(cluster, point):
    strike(cluster, POINTS[point].name, Blow.KILL)


@pytest.mark.parametrize(
    ("point", "blow"), sample([case for case in product(ISSUING, CASES_OF_OTHERS) if case != ONLY_CREDLY_CAN_TELL], 2)
)
def test_so_does_one_that_was_stopped_or_paused_past_its_claim(cluster, point, blow):
    strike(cluster, POINTS[point].name, blow)


@pytest.mark.parametrize("preset", ["reset-after-success", "timeout-after-success", "reset-before"])
def test_answers_that_are_lost_leave_five_and_each_is_revoked_by_its_own_course(cluster, preset):
    many, match = Many(cluster), {"method": "POST", "path": "/badges$"}
    cluster.credly("POST", "faults", {"preset": preset, "match": match, "probability": 0.5, "seed": SEED, "times": 3})
    many.all_pass()
    cluster.settle()
    many.assert_exactly(*COURSES)
    cluster.play([many.academy.fails(many.who, many.course(number)) for number in (1, 3)])
    cluster.settle()
    many.assert_exactly(0, 2, 4)
