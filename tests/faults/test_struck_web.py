"""What somebody does to a badge at Credly shows here, whoever is killed, stopped or paused while Credly tells us or we look.

A badge that is revoked at Credly is in the end revoked here, and told once.
"""

import uuid
from itertools import product
from typing import Any

import pytest
import requests

from tests.faults.cluster import SMALL, Cluster
from tests.faults.fuses import Blow
from tests.faults.points import POINTS
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import CASES_OF_OTHERS, assert_nothing_violated
from tests.faults.witness import live_badges, violations

NUMBERS = {**SMALL, "credly": 2, "web": 1}
TOLD = [point.name for point in POINTS.values() if point.observes]
SEEN = ["loss seen at Credly, not recorded", "recorded, not committed"]
"""The points that a re-check passes too."""


def issued(cluster: Cluster) -> Story:
    """Learners hold a badge, and Credly posts webhooks to us from now on."""
    cluster.receive_webhooks(cluster.school.organization)
    story = Story(cluster.school, SEED, learners=2, events_each=0)
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    return story


def revoke_at_credly(cluster: Cluster, story: Story) -> None:
    """Somebody revokes all badges of a story there."""
    school = story.school
    for badge in live_badges(cluster, story):
        url = f"{cluster.credly_url}v1/organizations/{school.organization}/badges/{badge['id']}/revoke"
        requests.put(url, auth=(school.key, ""), json={"reason": "by hand"}, timeout=20).raise_for_status()
        story.taken_back.add((badge["template"], badge["issuer_earner_id"]))


def strike_while_told(cluster: Cluster, point: str, blow: Blow) -> Story:
    """Strike the process that is the first to reach a point while Credly tells of revocations."""
    story = issued(cluster)
    fuse = cluster.arm(point, blow)
    revoke_at_credly(cluster, story)
    cluster.wait(fuse.blown)
    assert cluster.settle() == []
    return story


@pytest.mark.parametrize("point", sample(TOLD, 2))
def test_a_revocation_at_credly_is_told_once_though_who_learned_of_it_was_killed(cluster, point):
    assert_nothing_violated(cluster, strike_while_told(cluster, point, Blow.KILL))


@pytest.mark.parametrize(("point", "blow"), sample(list(product(TOLD, CASES_OF_OTHERS)), 1))
def test_or_was_stopped_or_paused(cluster, point, blow):
    assert_nothing_violated(cluster, strike_while_told(cluster, point, blow))


def test_a_webhook_that_found_nobody_comes_again(cluster):
    story = issued(cluster)
    cluster.strike("web.1", Blow.KILL)
    revoke_at_credly(cluster, story)
    assert cluster.settle() == []
    tries = cluster.credly("GET", f"webhooks?organization_id={story.school.organization}")["deliveries"]
    assert any(not each["delivered"] for each in tries)
    assert_nothing_violated(cluster, story)


def test_events_that_come_after_a_badge_was_revoked_at_credly_change_nothing(cluster):
    story = issued(cluster)
    withheld = story.all_fail(hour=2)
    revoke_at_credly(cluster, story)
    assert cluster.settle() == []
    cluster.play(story.all_pass(hour=3))
    cluster.play(withheld)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def revoked_without_a_word(cluster: Cluster) -> Story:
    """Badges are revoked at Credly, and no webhook tells of it."""
    story = issued(cluster)
    cluster.credly("PATCH", f"organizations/{story.school.organization}", {"webhook_url": None})
    revoke_at_credly(cluster, story)
    return story


def repair(cluster: Cluster) -> None:
    """As an operator does: compare, and queue a re-check of what differs."""
    done = cluster.run_command("reconcile", "--organization_id", cluster.school.organization, "--repair")
    assert done.returncode == 0, done.stderr


def all_taken_back(cluster: Cluster, story: Story) -> bool:
    """Whether the revocations are recorded here."""
    users = ",".join(str(learner.id) for learner in story.learners)
    rows = cluster.query(
        "SELECT COUNT(*) FROM pipeline_badge JOIN pipeline_learner ON pipeline_learner.id = pipeline_badge.learner_id "
        f"WHERE lms_user_id IN ({users}) AND credly_state = 'revoked'"
    )
    return bool(rows == [(len(story.taken_back),)])


@pytest.mark.parametrize(("point", "blow"), sample(list(product(SEEN, [Blow.KILL, *CASES_OF_OTHERS])), 1))
def test_a_re_check_whose_worker_is_struck_is_made_by_another(cluster, point, blow):
    story = revoked_without_a_word(cluster)
    fuse = cluster.arm(point, blow)
    repair(cluster)
    cluster.wait(fuse.blown)
    cluster.wait(lambda: all_taken_back(cluster, story))
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_a_re_check_that_the_broker_forgot_is_found_by_housekeeping(cluster):
    story = revoked_without_a_word(cluster)
    fuse = cluster.arm("loss seen at Credly, not recorded", Blow.KILL)
    repair(cluster)
    cluster.wait(fuse.blown)
    cluster.forget_messages()
    cluster.wait(lambda: all_taken_back(cluster, story))
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_without_being_stored_first_a_revocation_would_be_lost_with_the_web_process(cluster):
    with cluster.without("a webhook is stored before it is answered"):
        story = strike_while_told(cluster, "webhook read, not stored", Blow.KILL)
        found = violations(cluster, story)
    assert any(str(line).startswith("lost: signals about") for line in found), found


def out_of_sight(cluster: Cluster) -> None:
    """At the next look Credly shows no badge, neither alone nor in its list: a view that is not up to date."""
    alone = {"status": 404, "match": {"method": "GET", "path": "/badges/[^/]+$"}, "times": 1}
    listed = {"status": 200, "body": {"data": [], "metadata": {}}, "match": {"method": "GET", "path": "/badges$"}}
    cluster.credly("POST", "faults", alone)
    cluster.credly("POST", "faults", {**listed, "times": 2})  # it is asked for by the learner's id and by the e-mail


def accepted_out_of_sight(cluster: Cluster) -> Story:
    """Learners accept their badges, and when we look the first is not shown."""
    story = issued(cluster)
    out_of_sight(cluster)
    for badge in live_badges(cluster, story):
        cluster.credly("POST", f"badges/{badge['id']}/accept")
    assert cluster.settle() == []
    return story


def said_to_be_deleted(cluster: Cluster) -> Story:
    """Somebody posts that an event of Credly's was a deletion, and when we look the badge is not shown."""
    cluster.credly("PATCH", f"organizations/{cluster.school.organization}", {"webhook_url": None})
    story = Story(cluster.school, SEED, learners=1, events_each=0)
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    [badge] = live_badges(cluster, story)
    [event] = [each for each in events(cluster) if each["badge"]["id"] == badge["id"]]
    out_of_sight(cluster)
    forged = {"id": event["id"], "organization_id": cluster.school.organization, "event_type": "badge.deleted"}
    url = f"http://127.0.0.1:{cluster.port}/badges/credly/webhook/"
    assert requests.post(url, json=forged, timeout=20).status_code == 200
    assert cluster.settle() == []
    return story


def events(cluster: Cluster) -> list[dict[str, Any]]:
    """Credly's event feed of the badges that were issued."""
    path = f"events?organization_id={cluster.school.organization}&event_type=badge.created"
    return list(cluster.credly("GET", path)["events"])


DOUBTED = {
    "what Credly does not show is looked for twice": accepted_out_of_sight,
    "Credly tells what a webhook is about": said_to_be_deleted,
}


@pytest.mark.parametrize("protection", sample(list(DOUBTED), 1))
def test_a_badge_that_credly_does_not_show_for_a_moment_is_not_lost(cluster, protection):
    assert_nothing_violated(cluster, DOUBTED[protection](cluster))


@pytest.mark.parametrize("protection", sample(list(DOUBTED), 1))
def test_it_would_be_without(cluster, protection):
    with cluster.without(protection):
        found = violations(cluster, DOUBTED[protection](cluster))
    assert any(str(line).startswith("false: signals about") for line in found), found


def test_a_webhook_of_an_event_that_credly_does_not_know_changes_nothing(cluster):
    story = issued(cluster)
    forged = {
        "id": str(uuid.uuid4()),
        "organization_id": cluster.school.organization,
        "event_type": "badge.deleted",
    }
    url = f"http://127.0.0.1:{cluster.port}/badges/credly/webhook/"
    assert requests.post(url, json=forged, timeout=20).status_code == 200
    assert cluster.settle() == []
    assert cluster.query("SELECT state FROM pipeline_webhook WHERE event = %s", [uuid.UUID(forged["id"]).hex]) == [
        ("refused",)
    ]
    assert_nothing_violated(cluster, story)
