"""The witness sees what it is there to see: what changes at Credly behind our back shows by our own reconciliation too."""

import requests

from tests.faults.cluster import Cluster
from tests.faults.selection import SEED
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import live_badges, violations


def held(cluster: Cluster) -> tuple[Story, dict[str, str]]:
    """A learner holds a badge; returned too as Credly has it."""
    story = Story(cluster.school, SEED, learners=1, events_each=0)
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)
    [badge] = live_badges(cluster, story)
    return story, badge


def call(cluster: Cluster, method: str, path: str, content: dict[str, str] | None = None) -> None:
    """What somebody does at Credly."""
    url = f"{cluster.credly_url}v1/organizations/{cluster.school.organization}/badges{path}"
    requests.request(method, url, auth=(cluster.school.key, ""), json=content, timeout=20).raise_for_status()


def test_a_second_badge_that_somebody_issued_at_credly_is_seen(cluster):
    story, badge = held(cluster)
    names = ("recipient_email", "issuer_earner_id", "issued_to_first_name", "issued_to_last_name")
    form = {"badge_template_id": badge["template"], "issued_at": "2026-05-01 12:00:00 +0000"}
    call(cluster, "POST", "", form | {name: badge[name] for name in names})
    assert any(str(line).startswith("duplicate: reconcile: extra") for line in violations(cluster, story))


def test_a_badge_that_somebody_revoked_at_credly_is_seen(cluster):
    story, badge = held(cluster)
    call(cluster, "PUT", f"/{badge['id']}/revoke", {"reason": "by hand"})
    assert any(str(line).startswith("false: reconcile: different") for line in violations(cluster, story))
