"""webhook: badges that are just being issued or revoked, that failed, or of which Credly says two things."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from pipeline.ledgers import holdings, observations, webhooks
from pipeline.models import Badge
from tests.ledgers.builders import claimed, learner, make_due, signals
from tests.stages.conftest import issue, want
from tests.stages.credly_events import act, handle, state, told

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("what", ["accept", "revoke"])
def test_while_the_answer_to_a_call_to_issue_is_out_a_webhook_about_it_waits(site, what):
    """What was recorded from that answer afterwards would be older than what the webhook knew."""
    badge = site.badge()
    site.fault("reset-after-success", times=1)
    issue(badge)
    assert (badge.credly_state, badge.credly_id) == ("issuing", None)
    badge.credly_id = site.live()[0]["id"]
    act(site, badge, what)
    row = told(site, "badge.state.changed")
    assert (row.state, "not recorded yet" in row.error) == ("waiting", True)
    # The answer that was out comes after all, and tells of a badge that is pending.
    badge.refresh_from_db()
    make_due(badge)
    claim = holdings.claim(holdings.due(badge.pk))
    [at_credly] = site.ledger()
    holdings.held(claim, UUID(at_credly["id"]), holdings.CredlyState.PENDING, "issued")
    handle(row)
    assert state(badge)[2] == {"accept": "accepted", "revoke": "revoked"}[what]
    assert signals(badge) == ["awarded", *(["revoked"] if what == "revoke" else [])]


@pytest.mark.parametrize("earner", ["", "9" * 40, "not-a-number"])
def test_a_foreign_badge_is_ignored_also_while_badges_are_being_issued(site, earner):
    badge = site.badge()
    site.fault("500", times=1)
    issue(badge)
    assert badge.credly_state == "issuing"
    site.academy.issued(issuer_earner_id=earner, recipient_email="somebody.else@learners.example")
    assert told(site, "badge.created").state == "ignored"


def test_a_webhook_about_a_badge_that_is_being_issued_again_waits(site):
    badge = site.issued()
    act(site, badge, "revoke")
    Badge.objects.update(credly_state="issuing", due_at=timezone.now())
    row = told(site, "badge.state.changed")
    assert (row.state, state(badge)) == ("waiting", ("awarded", "", "issuing"))


def test_a_badge_that_credly_shows_while_a_call_to_revoke_is_out_waits_for_that(site):
    badge = site.issued()
    want(badge, "revoked")
    claim = claimed(badge)
    act(site, badge, "accept")
    row = told(site, "badge.state.changed")
    assert (row.state, state(badge)[2]) == ("waiting", "revoking")
    holdings.postponed(claim, holdings.CredlyState.PENDING, "Credly asked for fewer calls.")
    handle(row)
    assert (row.state, state(badge)[2]) == ("handled", "accepted")


def test_a_badge_under_somebodys_claim_to_revoke_that_is_revoked_ends_with_one_signal(site):
    badge = site.issued()
    want(badge, "revoked")
    claim = claimed(badge)
    act(site, badge, "revoke")
    told(site, "badge.state.changed")
    assert state(badge)[2] == "revoked"
    assert not holdings.renew(claim)
    holdings.withdrawn(claim, "revoked at Credly")
    issue(badge)
    assert (state(badge)[2], signals(badge)) == ("revoked", ["awarded", "revoked"])
    assert len(site.calls("PUT", "/revoke$")) == 1, "only the one by hand"


def test_our_own_revocation_told_by_a_webhook_is_nothing_new(site):
    badge = site.issued()
    want(badge, "revoked")
    issue(badge)
    row = told(site, "badge.state.changed")
    assert (row.state, row.outcome) == ("handled", f"badge {badge.uuid}: revoked at Credly, as it is here.")
    assert signals(badge) == ["awarded", "revoked"]


def test_a_failed_badge_stays_failed_for_a_person_to_see_unless_it_is_gone(site):
    badge = site.issued()
    act(site, badge, "accept")
    Badge.objects.update(credly_state="failed", error="Credly says: no")
    row = told(site, "badge.state.changed")
    assert (row.state, row.outcome) == ("handled", f"badge {badge.uuid}: accepted at Credly; it stays failed here.")
    assert state(badge)[2] == "failed"
    act(site, badge, "delete")
    told(site, "badge.deleted")
    assert state(badge) == ("revoked", "credly", "revoked")


def test_a_badge_that_credly_does_not_find_but_lists_is_not_taken_for_gone(site):
    badge = site.issued()
    not_found = {"data": {"message": "Badge not found"}}
    site.fault(method="GET", match={"path": "/badges/"}, status=404, body=not_found, times=1)
    row = told(site, "badge.created")
    assert (row.state, "yet lists it" in row.error) == ("waiting", True)
    assert (state(badge)[2], signals(badge)) == ("pending", ["awarded"])
    handle(row)
    assert row.state == "handled"


def test_a_badge_that_is_nowhere_to_be_seen_ends_only_if_it_still_is_half_a_minute_later(site):
    badge = site.issued()
    act(site, badge, "delete")
    row = told(site, "badge.created")
    assert (row.state, row.error) == ("waiting", observations.NOT_SHOWN)
    assert timedelta(seconds=25) < row.due_at - timezone.now() <= timedelta(seconds=30)
    webhooks.resume(site.organization)
    row.refresh_from_db()
    assert row.due_at > timezone.now() + timedelta(seconds=20)
    assert (state(badge)[2], signals(badge)) == ("pending", ["awarded"])
    handle(row)
    assert (row.state, state(badge)[2], signals(badge)) == ("handled", "revoked", ["awarded", "revoked"])


def test_a_badge_that_credly_shows_again_at_the_second_look_is_kept(site):
    badge = site.issued()
    not_found = {"data": {"message": "Badge not found"}}
    site.fault(method="GET", match={"path": "/badges/"}, status=404, body=not_found, times=1)
    empty = {"data": [], "metadata": {"total_pages": 1}}
    site.fault(method="GET", match={"path": "/badges$"}, status=200, body=empty, times=2)
    row = told(site, "badge.created")
    assert (row.state, row.error) == ("waiting", observations.NOT_SHOWN)
    handle(row)
    assert (row.state, state(badge)[2], signals(badge)) == ("handled", "pending", ["awarded"])


def test_a_badge_that_was_deleted_while_another_took_its_place_lives_on_in_that(site):
    badge = site.issued()
    act(site, badge, "delete")
    issued = site.academy.issued(issuer_earner_id=str(badge.learner.lms_user_id), recipient_email=badge.learner.email)
    told(site, "badge.deleted")
    badge.refresh_from_db()
    assert (str(badge.credly_id), badge.credly_state) == (issued["id"], "pending")


def test_what_was_revoked_at_credly_no_event_gives_back_but_other_learners_badges_go_on(site):
    badge, other = site.issued(), site.badge(learner=learner())
    act(site, badge, "revoke")
    told(site, "badge.state.changed")
    issue(badge)
    issue(other)
    assert (state(badge)[2], state(other)[2]) == ("revoked", "pending")
