"""After the switch: events and Credly, through the real stages.  Nothing is issued again."""

from uuid import UUID, uuid4

import pytest

from pipeline import stages
from pipeline.lms.events import LmsLearner
from pipeline.models import Badge, Signal, Template
from tests.ledgers.builders import deliver, fails, passes, signals, stored
from tests.switching.conftest import OldSite, work_off
from tests.switching.peers import imported

pytestmark = pytest.mark.django_db

BEFORE, AFTER, LATER = 30, 90, 120
"""Minutes: before the peer changed the badge last, and after."""


@pytest.fixture
def switch(site: OldSite, tmp_path):
    def take_over(**lms_ids: int):
        return imported(site.dump.write(tmp_path / "peer.json"), **lms_ids)

    return take_over


def test_an_event_finds_the_badge_awarded_and_a_penalty_revokes_it_by_its_id_at_credly(site: OldSite, switch):
    credly_id, peers_uuid = site.issued(), uuid4()
    site.dump.holder(site.template, state="pending", credly_id=credly_id, uuid=str(peers_uuid))
    switch()
    assert deliver(passes(site.dana, AFTER)) == []
    assert work_off() == []
    assert site.at_credly() == [(str(credly_id), "pending")]
    (badge,) = deliver(fails(site.dana, LATER))
    work_off()
    assert site.at_credly() == [(str(credly_id), "revoked")]
    row = Badge.objects.get(pk=badge)
    assert (row.uuid, row.standing, row.credly_state) == (peers_uuid, "revoked", "revoked")
    assert signals(row) == ["revoked"]
    assert Signal.objects.get().payload["uuid"] == str(peers_uuid)
    assert deliver(passes(site.dana, LATER + 1)) == []
    assert work_off() == []
    assert site.calls_to_issue() == 0


def test_without_the_badge_in_the_dump_the_same_event_issues_a_second_one(site: OldSite, switch):
    """The control: what the tests here forbid does happen."""
    site.issued()
    switch()
    assert len(deliver(passes(site.dana, AFTER))) == 1
    work_off()
    assert len(site.at_credly()) == 2


def test_what_happened_before_the_badges_last_change_the_peer_has_counted(site: OldSite, switch):
    site.dump.holder(site.template, state="pending", credly_id=site.issued())
    switch()
    failure = fails(site.dana, BEFORE)
    assert deliver(failure) == []
    assert stored(failure).status == "processed"
    assert len(deliver(fails(site.dana, AFTER))) == 1


def test_without_a_badge_any_event_is_newer_than_what_the_peer_knew(site: OldSite, switch):
    template, demo = site.template
    other = site.dump.requirement(template, ("course.course_key", "eq", "course-v1:OpenedX+Math+2026"), blend="B")
    site.dump.user()
    site.dump.progress("dana", template, demo)
    switch()
    assert deliver(fails(site.dana, BEFORE)) == []
    assert deliver(passes(site.dana, BEFORE + 1, "course-v1:OpenedX+Math+2026")) == []
    (badge,) = deliver(passes(site.dana, BEFORE + 2))
    assert Badge.objects.get(pk=badge).standing == "awarded"
    assert other


def test_a_complete_learner_whom_the_peer_shut_out_gets_the_badge_with_the_next_event_and_earned_then(
    site: OldSite, switch
):
    template, demo = site.template
    site.dump.user()
    site.dump.progress("dana", template)
    site.dump.progress("dana", template, demo)
    switch()
    assert work_off() == []
    event = passes(site.dana, AFTER)
    (badge,) = deliver(event)
    assert Badge.objects.get(pk=badge).earned_at == event.time
    work_off()
    assert [state for _, state in site.at_credly()] == ["pending"]


@pytest.mark.parametrize("state", ["created", "error", "no_response"])
def test_a_badge_without_an_id_that_credly_holds_is_adopted(site: OldSite, switch, state: str):
    credly_id = site.issued()
    site.dump.holder(site.template, state=state, credly_id=None)
    switch()
    assert deliver(passes(site.dana, AFTER)) == []
    work_off()
    row = Badge.objects.get()
    assert (row.credly_id, row.credly_state) == (credly_id, "pending")
    assert site.calls_to_issue() == 0
    assert signals(row) == ["awarded"]


@pytest.mark.parametrize("state", ["created", "error", "no_response"])
def test_a_badge_without_an_id_that_credly_lacks_is_issued_after_a_look_and_once(site: OldSite, switch, state: str):
    site.dump.holder(site.template, state=state, credly_id=None)
    switch()
    work_off()
    requests = site.emulator.requests(organization=site.academy.organization)
    methods = [request["method"] for request in requests]
    assert methods.index("GET") < methods.index("POST")
    assert methods.count("POST") == 1
    assert [state for _, state in site.at_credly()] == ["pending"]
    (held,) = site.emulator.ledger(organization=site.academy.organization)
    assert held["issued_at"].startswith("2026-05-01")


def test_a_revoked_badge_without_an_id_is_looked_for_and_revoked(site: OldSite, switch):
    credly_id = site.issued()
    site.dump.user()
    site.dump.badge("dana", site.template[0], "created", status="revoked")
    switch()
    work_off()
    assert site.at_credly() == [(str(credly_id), "revoked")]


def test_a_revoked_badge_without_an_id_that_credly_lacks_is_never_issued(site: OldSite, switch):
    site.dump.user()
    site.dump.badge("dana", site.template[0], "created", status="revoked")
    switch()
    work_off()
    assert site.at_credly() == []
    row = Badge.objects.get()
    assert (row.standing, row.credly_state, signals(row)) == ("revoked", "none", [])


def test_a_revocation_that_credly_never_heard_of_is_done(site: OldSite, switch):
    credly_id = site.issued()
    site.dump.user()
    site.dump.badge("dana", site.template[0], "pending", credly_id, status="revoked")
    switch()
    work_off()
    assert site.at_credly() == [(str(credly_id), "revoked")]


def test_a_badge_that_was_revoked_at_credly_alone_is_not_given_back_by_events(site: OldSite, switch):
    credly_id = site.issued()
    site.academy.call("PUT", f"/badges/{credly_id}/revoke", json={"reason": "No"})
    site.dump.holder(site.template, state="revoked", credly_id=credly_id)
    switch()
    Template.objects.update(reaward=True)
    assert deliver(passes(site.dana, AFTER)) == []
    assert work_off() == []
    assert site.at_credly() == [(str(credly_id), "revoked")]


def test_a_revoked_badge_is_not_awarded_again(site: OldSite, switch):
    site.dump.user()
    site.dump.progress("dana", site.template[0])
    site.dump.badge("dana", site.template[0], "revoked", uuid4(), status="revoked")
    switch()
    assert deliver(passes(site.dana, AFTER)) == []
    assert work_off() == []
    assert site.calls_to_issue() == 0


@pytest.mark.parametrize("site", [False], indirect=True)
def test_of_a_holder_without_an_lms_id_credly_refuses_a_second_badge_and_the_first_is_adopted(site: OldSite, switch):
    credly_id = site.issued()
    site.dump.holder(site.template, lms_user_id=None, state="pending", credly_id=credly_id)
    switch()
    assert not Badge.objects.exists()
    deliver(passes(site.dana, AFTER))
    work_off()
    assert site.at_credly() == [(str(credly_id), "pending")]
    assert Badge.objects.get().credly_id == credly_id


def test_with_the_lms_id_from_a_file_nothing_is_left_to_credly(site: OldSite, switch):
    site.dump.holder(site.template, lms_user_id=None, state="pending", credly_id=site.issued())
    switch(dana=4711)
    assert deliver(passes(site.dana, AFTER)) == []
    assert site.calls_to_issue() == 0


def test_a_newer_event_renews_name_and_address_of_a_learner(site: OldSite, switch):
    site.dump.holder(site.template)
    switch()
    deliver(passes(LmsLearner(4711, "dana", "new@learners.example", "Dana Hale"), AFTER))
    learner = Badge.objects.get().learner
    assert (learner.email, learner.name) == ("new@learners.example", "Dana Hale")


def test_reconciliation_agrees_with_what_was_taken_over(site: OldSite, switch):
    site.dump.holder(site.template, state="pending", credly_id=site.issued())
    switch()
    row = Badge.objects.get()
    result = stages.reconcile(row.template.organization_id)
    assert (result.failure, result.compared, result.found) == ("", 1, [])


def test_a_badge_whose_state_the_peer_did_not_know_is_told_by_a_look_at_credly(site: OldSite, switch):
    credly_id = site.issued()
    site.academy.call("PUT", f"/badges/{credly_id}/revoke", json={"reason": "No"})
    site.dump.holder(site.template, state="error", credly_id=credly_id)
    switch()
    assert work_off() == []
    row = Badge.objects.get()
    assert row.credly_state == "pending"
    stages.recheck(row.pk)
    row.refresh_from_db()
    assert row.credly_state == "revoked"
    assert isinstance(credly_id, UUID)
