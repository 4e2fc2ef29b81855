"""An organization that Credly must not be called for waits, alone, and goes on by itself: the gate, on running processes."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import requests

from pipeline.configuration.gate import MOST_FAILURES
from pipeline.ledgers.holdings import GATE_CLOSED
from tests.faults.cluster import Cluster
from tests.faults.school import School
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import live_holders

MOST_CALLS = 2 * MOST_FAILURES
"""That a failing Credly sees in a minute: those that close the gate, those that were under way, and the probes."""


@pytest.fixture
def school(cluster: Cluster) -> Iterator[School]:
    """An organization of its own, beside the cluster's, whose badges must not wait for it."""
    opened = School(cluster)
    opened.open()
    yield opened
    cluster.credly("DELETE", "faults")
    assert cluster.settle() == []


def strike(cluster: Cluster, school: School, preset: str) -> None:
    """From now on Credly answers each call of the organization so."""
    cluster.credly("POST", "faults", {"preset": preset, "match": {"organization": school.organization}})


def refused(cluster: Cluster, school: School) -> bool:
    """Whether the status says that the organization's key is refused."""
    return school.organization in [each["organization"] for each in cluster.status()["keys_refused"]]


def circuit(cluster: Cluster, school: School) -> dict[str, Any]:
    """The organization's circuit, as the status tells it."""
    circuits: list[dict[str, Any]] = cluster.status()["credly"]["circuits"]
    return next(each for each in circuits if each["organization"] == school.organization)


def assert_the_others_go_on(cluster: Cluster) -> None:
    """A story of the cluster's own school comes to its end."""
    story = Story(cluster.school, SEED, learners=2, events_each=0)
    cluster.play(story.all_pass())
    cluster.wait(lambda: live_holders(cluster, story) == story.holders())


def test_an_organization_whose_key_died_goes_on_by_itself_once_the_same_key_works_again(cluster, school):
    story = Story(school, SEED, learners=3, events_each=0)
    strike(cluster, school, "401")
    cluster.play(story.all_pass())
    cluster.wait(lambda: refused(cluster, school))
    assert_the_others_go_on(cluster)

    cluster.credly("DELETE", "faults")
    assert cluster.settle() == []
    assert not refused(cluster, school)
    assert_nothing_violated(cluster, story)


def test_an_organization_whose_key_died_goes_on_once_a_new_key_is_entered(cluster, school):
    story = Story(school, SEED, learners=3, events_each=0)
    rotate = f"{cluster.credly_url}v1/organizations/{school.organization}/authorization_tokens/rotate"
    answer = requests.post(rotate, auth=(school.key, ""), timeout=20)
    answer.raise_for_status()
    cluster.play(story.all_pass())
    cluster.wait(lambda: refused(cluster, school))
    assert_the_others_go_on(cluster)

    school.key = answer.json()["data"]["token"]
    school.configure()
    assert not refused(cluster, school)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_a_call_that_alone_is_forbidden_keeps_no_other_badge_of_the_organization_waiting(cluster, school):
    story = Story(school, SEED, learners=3, events_each=0)
    forbidden = str(story.learners[0].id)
    match = {"organization": school.organization, "issuer_earner_id": forbidden}
    cluster.credly("POST", "faults", {"preset": "403", "match": match})
    cluster.play(story.all_pass())
    others = {holder for holder in story.holders() if holder[1] != forbidden}
    cluster.wait(lambda: live_holders(cluster, story) == others)
    assert not refused(cluster, school)
    [(error,)] = cluster.query("SELECT error FROM pipeline_badge WHERE due_at IS NOT NULL")
    assert error.startswith("Credly forbids this call:")

    cluster.credly("DELETE", "faults")
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_an_organization_that_credly_fails_call_after_call_waits_and_goes_on_by_itself(cluster, school):
    story = Story(school, SEED, learners=20, events_each=0)
    strike(cluster, school, "503")
    cluster.play(story.all_pass())
    cluster.wait(lambda: circuit(cluster, school)["reason"] == "failing")
    assert_the_others_go_on(cluster)
    assert calls(cluster, school) < MOST_CALLS

    cluster.credly("DELETE", "faults")
    assert cluster.settle() == []
    assert circuit(cluster, school)["state"] == "closed"
    assert_nothing_violated(cluster, story)


def test_a_dead_key_would_hold_up_the_others_without_a_gate_of_their_own(cluster, school):
    story = Story(school, SEED, learners=3, events_each=0)
    strike(cluster, school, "401")
    cluster.play(story.all_pass())
    cluster.wait(lambda: refused(cluster, school))
    with cluster.without("each organization has its own gate"):
        others = Story(cluster.school, SEED, learners=3, events_each=0)
        cluster.play(others.all_pass())
        cluster.wait(lambda: held_up(cluster, others))


def held_up(cluster: Cluster, story: Story) -> bool:
    """Whether a badge of a story waits because Credly must not be called."""
    users = ",".join(str(learner.id) for learner in story.learners)
    sql = (
        "SELECT 1 FROM pipeline_badge JOIN pipeline_learner ON pipeline_learner.id = learner_id "
        f"WHERE lms_user_id IN ({users}) AND due_at IS NOT NULL AND error LIKE '{GATE_CLOSED}%'"
    )
    return bool(cluster.query(sql))


def test_credly_would_be_called_on_and_on_while_it_fails_if_nobody_counted(cluster, school):
    story = Story(school, SEED, learners=20, events_each=0)
    strike(cluster, school, "503")
    with cluster.without("Credly's failures are counted"):
        cluster.play(story.all_pass())
        cluster.wait(lambda: calls(cluster, school) > MOST_CALLS)
        assert circuit(cluster, school)["state"] == "closed"


def calls(cluster: Cluster, school: School) -> int:
    """How often Credly was called for the organization."""
    return len(cluster.credly("GET", f"requests?organization={school.organization}")["requests"])


ASKED_SECONDS = 12.0
RESTS = ["Credly is left alone for as long as it asks", "no call passes a closed gate"]


def shortest_rest(cluster: Cluster, school: School) -> float:
    """Seconds from a call after which Credly asks for a while without calls to the organization's next call, the shortest.

    The organization's badges become due meanwhile.
    """
    asks = {"preset": "429", "retry_after": ASKED_SECONDS, "times": 1, "match": {"organization": school.organization}}
    fault = cluster.credly("POST", "faults", asks)
    first = Story(school, SEED, learners=1, events_each=0)
    cluster.play(first.all_pass())
    cluster.wait(lambda: next(e for e in cluster.credly("GET", "faults")["faults"] if e["id"] == fault["id"])["hits"])
    others = Story(school, SEED, learners=3, events_each=0)
    cluster.play(others.all_pass())
    assert cluster.settle() == []
    for story in (first, others):
        assert_nothing_violated(cluster, story)
    calls = cluster.credly("GET", f"requests?organization={school.organization}")["requests"]
    moments = [(datetime.fromisoformat(call["time"]), call["status"]) for call in calls]
    return min((later - asked).total_seconds() for (asked, status), (later, _) in pairwise(moments) if status == 429)


def test_credly_is_left_alone_for_as_long_as_it_asks(cluster, school):
    assert shortest_rest(cluster, school) >= ASKED_SECONDS


@pytest.mark.parametrize("protection", sample(RESTS, 1))
def test_it_would_not_be_without(cluster, school, protection):
    with cluster.without(protection):
        assert shortest_rest(cluster, school) < ASKED_SECONDS
