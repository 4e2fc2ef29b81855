"""Beat runs twice, and so does every worker: two nudge and two take up one badge, and yet Credly issues it once."""

from tests.faults import pace
from tests.faults.cluster import Cluster
from tests.faults.selection import SEED
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import violations

NUMBERS = {"consumer": 2, "worker": 2, "credly": 2, "beat": 2}
SLOW_SECONDS = 0.6 * pace.CLAIM_SECONDS


def issued_slowly(cluster: Cluster) -> Story:
    """Credly takes long for each call, and both beats go on nudging."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    slow = {"match": {"method": "POST", "path": "/badges$"}, "delay": SLOW_SECONDS, "when": "before"}
    cluster.credly("POST", "faults", {**slow, "times": len(story.learners)})
    cluster.play(story.all_pass())
    cluster.wait(lambda: slow_answers(cluster, story) == len(story.learners))
    assert cluster.settle() == []
    return story


def slow_answers(cluster: Cluster, story: Story) -> int:
    """How many of the slow calls have had their effect."""
    users = {str(learner.id) for learner in story.learners}
    calls = cluster.credly("GET", f"requests?fault=custom&organization={cluster.school.organization}")["requests"]
    return sum(call["status"] is not None and call["issuer_earner_id"] in users for call in calls)


def test_two_beats_do_no_harm(cluster):
    assert_nothing_violated(cluster, issued_slowly(cluster))


def test_because_a_claim_keeps_others_away(cluster):
    with cluster.without("a claim keeps others away"):
        found = violations(cluster, issued_slowly(cluster))
    assert any("held 2 live badges" in str(line) for line in found), found
