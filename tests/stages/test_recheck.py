"""The re-check: what Credly says of a badge is taken over and written down, also when it is nothing new."""

import sys
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from pipeline import stages
from pipeline.configuration import gate, pace
from pipeline.ledgers import discrepancies, interventions
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, CredlyState, Discrepancy, Organization
from pipeline.stages.recheck import LOOKED_UP_WITHIN
from tests.ledgers.builders import signals
from tests.stages.conftest import NOBODY_LISTENS, call_credly_at, issue

pytestmark = pytest.mark.django_db

NOT_SHOWN = "Credly does not show it now; if it still does not in half a minute, it is gone. Ask again later."


def recheck(row: Badge) -> Done:
    done = stages.recheck(row.pk)
    row.refresh_from_db()
    return done


def shows_nothing(site, row: Badge) -> None:
    """A stale view: Credly finds neither the badge nor any in its list."""
    not_found = {"data": {"message": "Resource not found"}}
    site.fault(method="GET", match={"path": f"/badges/{row.credly_id}$"}, status=404, body=not_found)
    empty = {"data": [], "metadata": {"total_pages": 1}}
    site.fault(method="GET", match={"path": "/badges$"}, status=200, body=empty)


def said(row: Badge) -> str:
    """What Credly answered to the last re-check, as the history has it."""
    entry = row.history.last()
    assert entry.what == "re-check"
    return entry.outcome


def said_in_vain(row: Badge) -> str:
    """Why the last re-check got no answer, as the history has it."""
    entry = row.history.last()
    assert entry.what == "re-check in vain"
    return entry.outcome


def test_a_badge_that_is_as_we_know_it_stays_so_and_that_is_written(site):
    row = site.issued()
    assert recheck(row) == Done()
    assert (row.credly_state, said(row)) == ("pending", "pending at Credly, as it is here.")


@pytest.mark.parametrize(("action", "state"), [("accept", "accepted"), ("reject", "rejected")])
def test_what_the_learner_did_at_credly_is_taken_over(site, action, state):
    row = site.issued()
    site.emulator.control("POST", f"badges/{row.credly_id}/{action}")
    assert recheck(row) == Done()
    assert (row.credly_state, said(row)) == (state, f"{state} at Credly")


def test_a_badge_revoked_at_credly_is_revoked_here_with_its_signal_once(site):
    row = site.issued()
    site.academy.call("PUT", f"/badges/{row.credly_id}/revoke", json={"reason": "by hand"})
    done = recheck(row)
    assert (row.standing, row.revoked_by, row.credly_state) == ("revoked", "credly", "revoked")
    assert (signals(row), done.signals) == (["awarded", "revoked"], [row.signals.last().pk])
    assert recheck(row) == Done()
    assert (signals(row), said(row)) == (["awarded", "revoked"], "revoked at Credly, as it is here.")


def let_pass(row: Badge, seconds: float) -> None:
    """Let time pass since all that is in the badge's history."""
    row.history.update(at=F("at") - timedelta(seconds=seconds))


def test_a_badge_deleted_at_credly_is_revoked_here_at_the_second_look_half_a_minute_later(site):
    row = site.issued()
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    for _ in range(3):
        recheck(row)
        assert (row.credly_state, said(row)) == ("pending", NOT_SHOWN)
        let_pass(row, 14)
    recheck(row)
    assert (row.credly_state, row.revoked_by, said(row)) == ("revoked", "credly", "not at Credly any more")
    assert signals(row) == ["awarded", "revoked"]


def test_a_look_in_vain_does_not_count_once_credly_showed_the_badge_again_or_days_later(site):
    row = site.issued()
    shows_nothing(site, row)
    recheck(row)
    site.heal()
    recheck(row)
    shows_nothing(site, row)
    let_pass(row, 60)
    recheck(row)
    assert (row.credly_state, said(row)) == ("pending", NOT_SHOWN)
    let_pass(row, timedelta(days=2).total_seconds())
    recheck(row)
    assert (row.credly_state, signals(row)) == ("pending", ["awarded"])


def test_a_look_that_credly_did_not_answer_says_nothing_of_the_one_before(site):
    row = site.issued()
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    recheck(row)
    site.fault("500", method="GET")
    recheck(row)
    assert said_in_vain(row) == "Credly gave no usable answer: HTTP 500"
    site.heal()
    let_pass(row, 60)
    recheck(row)
    assert (row.credly_state, said(row)) == ("revoked", "not at Credly any more")


def test_a_badge_from_before_our_time_that_credly_lists_under_the_e_mail_is_not_taken_for_gone(site):
    row = site.badge()
    site.academy.issued(recipient_email=row.learner.email, issuer_earner_id=None)
    issue(row)
    assert "adopted" in row.history.last().outcome
    path = f"/badges/{row.credly_id}$"
    site.fault(method="GET", match={"path": path}, status=404, body={"data": {"message": "Resource not found"}})
    recheck(row)
    assert said_in_vain(row).endswith("yet lists it")
    assert row.credly_state == "pending"


def test_a_badge_that_credly_does_not_find_but_lists_is_not_taken_for_gone(site):
    row = site.issued()
    path = f"/badges/{row.credly_id}$"
    site.fault(method="GET", match={"path": path}, status=404, body={"data": {"message": "Resource not found"}})
    recheck(row)
    assert (row.credly_state, said_in_vain(row)) == (
        "pending",
        "Credly gave no usable answer: Credly did not find the badge, and yet lists it",
    )


def test_a_badge_that_credly_does_not_find_is_kept_when_its_list_can_not_be_read(site):
    row = site.issued()
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    site.fault("500", method="GET", match={"path": "/badges$"})
    recheck(row)
    assert row.credly_state == "pending"
    assert said_in_vain(row) == "Credly gave no usable answer: HTTP 500"


def replace(site, row: Badge) -> str:
    """Replace the badge at Credly; returns the id of the one that took its place."""
    form = site.academy.form(issued_at="2026-06-01 00:00:00 +0000")
    answer = site.academy.call("POST", f"/badges/{row.credly_id}/replace", json=form)
    assert answer.status_code < 300, answer.text
    [live] = site.live()
    return live["id"]


def test_of_a_replaced_badge_the_one_in_its_place_is_ours(site):
    row = site.issued()
    new = replace(site, row)
    recheck(row)
    assert (row.credly_id, row.credly_state) == (UUID(new), "pending")
    assert said(row) == f"replaced at Credly by {new}, pending"


def test_a_badge_replaced_by_another_one_of_ours_is_left_to_a_person(site):
    row, other = site.issued(), site.issued()
    new = replace_only(site, row, other)
    recheck(row)
    assert row.credly_state == "pending"
    assert said(row) == f"replaced at Credly by {new}, which is another badge of ours."


def replace_only(site, row: Badge, other: Badge) -> str:
    form = site.academy.form(issued_at="2026-06-01 00:00:00 +0000")
    answer = site.academy.call("POST", f"/badges/{row.credly_id}/replace", json=form)
    assert answer.status_code < 300, answer.text
    [new] = {badge["id"] for badge in site.live()} - {str(other.credly_id)}
    Badge.objects.filter(pk=other.pk).update(credly_id=new)
    return new


def test_credly_out_of_reach_changes_nothing_and_is_written(site, settings):
    row = site.issued()
    call_credly_at(NOBODY_LISTENS, settings)
    recheck(row)
    assert row.credly_state == "pending"
    assert said_in_vain(row).startswith("Credly gave no usable answer: ")


def test_credly_that_asks_for_fewer_calls_is_left_alone(site):
    row = site.issued()
    site.fault("429", method="GET")
    recheck(row)
    assert said_in_vain(row) == "Credly asked for fewer calls."


def test_a_dead_key_closes_the_organizations_gate_and_the_next_re_check_makes_no_call(site):
    row = site.issued()
    Organization.objects.filter(pk=site.organization.pk).update(api_key=uuid4().hex)
    recheck(row)
    assert said_in_vain(row).startswith("Credly refuses the organization's key: ")
    calls = len(site.calls("GET", "/badges/"))
    recheck(row)
    assert said_in_vain(row) == "Credly was not asked: the organization has no working API key."
    assert len(site.calls("GET", "/badges/")) == calls


def test_a_missing_key_is_written_and_closes_the_gate(site):
    row = site.issued()
    Organization.objects.filter(pk=site.organization.pk).update(api_key="")
    recheck(row)
    assert said_in_vain(row).startswith("Credly was not asked: This organization has no API key")
    assert Organization.objects.get().gate_closed_at is not None


def test_a_call_that_credly_forbids_alone_leaves_the_gate_open(site):
    row = site.issued()
    site.fault(method="GET", match={"path": f"/badges/{row.credly_id}$"}, status=403, body={"data": {"message": "No."}})
    recheck(row)
    assert said(row) == "Credly forbids this call: No."
    assert Organization.objects.get().gate_closed_at is None


def test_an_answer_reopens_the_gate_and_the_badges_that_waited_are_due(site):
    row, waiting = site.issued(), site.badge()
    gate.refused(site.organization, "expired")
    Organization.objects.update(call_again_at=None)
    stages.issue(waiting.pk)
    recheck(row)
    assert said(row) == "pending at Credly, as it is here."
    assert Organization.objects.get().gate_closed_at is None


def test_a_badge_that_credly_never_had_is_not_asked_for(site):
    row = site.badge()
    assert recheck(row) == stages.recheck(10**9) == Done()
    assert site.calls("GET", "/badges") == []
    assert row.credly_state == CredlyState.NONE


def test_a_badge_that_is_being_revoked_stays_so_while_credly_still_shows_it(site):
    row = site.issued()
    Badge.objects.filter(pk=row.pk).update(standing="revoked", credly_state="revoking")
    recheck(row)
    assert (row.credly_state, said(row)) == (
        "revoking",
        "Our own call about the badge is not answered yet. Ask again later.",
    )


@pytest.fixture
def queued(site) -> Badge:
    """A badge that was revoked at Credly; reconciliation found it, and its re-check was queued some minutes ago."""
    row = site.issued()
    site.academy.call("PUT", f"/badges/{row.credly_id}/revoke", json={"reason": "by hand"})
    [found] = stages.reconcile(row.template.organization_id).found
    assert discrepancies.repair(found, "olga").rechecks == [row.pk]
    assert stages.due().rechecks == []
    Discrepancy.objects.update(repair_queued_at=timezone.now() - LOOKED_UP_WITHIN)
    return row


def test_a_queued_re_check_that_was_lost_is_named_again_and_not_at_once_again(queued):
    assert stages.due().rechecks == [queued.pk]
    assert stages.due().rechecks == []


def wait_to_be_looked_up() -> None:
    Discrepancy.objects.update(repair_queued_at=F("repair_queued_at") - LOOKED_UP_WITHIN)


def test_one_that_credly_answered_is_named_no_more(queued):
    recheck(queued)
    wait_to_be_looked_up()
    assert stages.due().rechecks == []


@pytest.mark.parametrize("preset", ["401", "429", "500", "reset-before"])
def test_one_that_credly_did_not_answer_is_named_again_and_heals_by_itself(site, queued, preset):
    site.fault(preset, method="GET")
    recheck(queued)
    assert said_in_vain(queued)
    wait_to_be_looked_up()
    assert stages.due().rechecks == [queued.pk]
    site.heal()
    Organization.objects.update(call_again_at=timezone.now())
    recheck(queued)
    wait_to_be_looked_up()
    assert (queued.credly_state, stages.due().rechecks) == ("revoked", [])


def test_one_that_credly_was_not_asked_for_is_named_again_and_that_is_written_once(site, queued):
    gate.throttled(site.organization, 600)
    for _ in range(3):
        recheck(queued)
        assert said_in_vain(queued) == "Credly was not asked: it asked for fewer calls."
        wait_to_be_looked_up()
        assert stages.due().rechecks == [queued.pk]
    assert queued.history.filter(what="re-check in vain").count() == 1


def test_one_that_got_no_turn_is_named_again(site, queued, settings, monkeypatch):
    settings.CREDLY_RATE_LIMIT = 1
    monkeypatch.setattr(sys.modules["pipeline.stages.recheck"], "LONGEST_WAIT", 0)
    while pace.may_call(site.organization):
        continue
    recheck(queued)
    assert said_in_vain(queued).startswith("Credly was not asked: too many other calls")
    wait_to_be_looked_up()
    assert stages.due().rechecks == [queued.pk]


def test_that_an_operator_asked_for_a_look_does_not_count_as_one(queued):
    interventions.recheck(queued, "olga")
    assert stages.due().rechecks == [queued.pk]
