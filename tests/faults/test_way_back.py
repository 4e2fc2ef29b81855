"""What failed for good says why, and goes on once a person has removed the cause and asks for it."""

from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import violations


def test_a_badge_that_credly_refused_says_why_and_is_issued_by_redrive(cluster):
    story = Story(cluster.school, seed=1, learners=2, events_each=0)
    fault = cluster.credly("POST", "faults", {"preset": "422-archived", "match": {"method": "POST", "path": "/badges"}})
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    reasons = [error for (error,) in cluster.query("SELECT error FROM pipeline_badge WHERE credly_state = 'failed'")]
    assert len(reasons) == len(story.learners)
    assert all(reason.startswith("Credly says:") for reason in reasons)
    assert violations(cluster, story) != []

    cluster.credly("DELETE", f"faults/{fault['id']}")
    cluster.manage("redrive", "badges")
    cluster.settle()
    assert_nothing_violated(cluster, story)
