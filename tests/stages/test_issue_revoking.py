"""The issue stage where a badge is to be taken back: revoked, found revoked, deleted, replaced, or refused."""

import pytest

from tests.ledgers.builders import signals
from tests.stages.conftest import issue, want

pytestmark = pytest.mark.django_db


def test_a_badge_is_revoked_with_one_signal(site):
    row = site.issued()
    want(row, "revoked")
    done = issue(row)
    [at_credly] = site.ledger()
    assert (at_credly["state"], row.credly_state, row.due_at) == ("revoked", "revoked", None)
    assert at_credly["revocation_reason"]
    assert done.signals == [row.signals.last().pk]
    issue(row)
    assert signals(row) == ["awarded", "revoked"]
    assert len(site.calls("PUT", "/revoke$")) == 1


def test_an_accepted_badge_is_revoked(site):
    row = site.issued()
    site.emulator.control("POST", f"badges/{row.credly_id}/accept")
    want(row, "revoked")
    issue(row)
    assert row.credly_state == "revoked"


@pytest.mark.parametrize("answered", [True, False], ids=["and says so", "and refuses"])
def test_a_badge_that_credly_has_revoked_already_counts_as_revoked(site, answered):
    if answered:
        site.emulator.switch(revocable_states=["pending", "accepted", "revoked"])
    row = site.issued()
    site.academy.call("PUT", f"/badges/{row.credly_id}/revoke", json={"reason": "by hand"})
    want(row, "revoked")
    issue(row)
    assert (row.credly_state, signals(row)) == ("revoked", ["awarded", "revoked"])


def test_a_badge_that_was_deleted_at_credly_counts_as_revoked(site):
    row = site.issued()
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    assert site.ledger() == []
    want(row, "revoked")
    issue(row)
    assert (row.credly_state, signals(row)) == ("revoked", ["awarded", "revoked"])


def test_a_badge_that_credly_does_not_find_but_shows_is_not_taken_for_revoked(site):
    row = site.issued()
    body = {"data": {"message": "Resource not found"}}
    site.fault(method="PUT", status=404, body=body, times=1)
    want(row, "revoked")
    issue(row)
    assert (row.credly_state, signals(row), row.due_at is not None) == ("revoking", ["awarded"], True)
    issue(row)
    assert (row.credly_state, signals(row), site.live()) == ("revoked", ["awarded", "revoked"], [])


def test_of_a_replaced_badge_the_replacement_is_revoked(site):
    row = site.issued()
    answer = site.academy.call(
        "POST", f"/badges/{row.credly_id}/replace", json=site.academy.form(issued_at="2026-06-01 00:00:00 +0000")
    )
    assert answer.status_code < 300, answer.text
    [replacement] = site.live()
    want(row, "revoked")
    issue(row)
    assert (str(row.credly_id), row.due_at is not None) == (replacement["id"], True)
    issue(row)
    assert (row.credly_state, site.live()) == ("revoked", [])
    assert signals(row) == ["awarded", "revoked"]


@pytest.mark.parametrize("preset", ["reset-after-success", "reset-before", "500", "truncated-json"])
def test_after_a_revocation_without_answer_credly_is_looked_at_first(site, preset):
    row = site.issued()
    want(row, "revoked")
    site.fault(preset, method="PUT", times=1)
    issue(row)
    assert (row.credly_state, signals(row)) == ("revoking", ["awarded"])
    issue(row)
    assert (row.credly_state, signals(row)) == ("revoked", ["awarded", "revoked"])
    assert [at_credly["state"] for at_credly in site.ledger()] == ["revoked"]


def test_a_throttled_revocation_leaves_the_badge_as_it_was(site):
    row = site.issued()
    want(row, "revoked")
    site.fault("429", method="PUT", times=1)
    issue(row)
    assert row.credly_state == "pending"
    want(row, "awarded")
    issue(row)
    assert (row.credly_state, row.due_at, len(site.live())) == ("pending", None, 1)
    assert signals(row) == ["awarded"]


def test_a_badge_that_the_learner_declined_counts_as_revoked_though_credly_will_not_revoke_it(site):
    row = site.issued()
    site.emulator.control("POST", f"badges/{row.credly_id}/reject")
    want(row, "revoked")
    issue(row)
    assert (row.credly_state, row.due_at, signals(row)) == ("revoked", None, ["awarded", "revoked"])


def test_a_badge_that_credly_will_not_revoke_for_a_reason_of_its_own_fails_with_its_words(site):
    site.emulator.switch(revocable_states=["accepted"])
    row = site.issued()
    want(row, "revoked")
    issue(row)
    assert (row.credly_state, signals(row)) == ("failed", ["awarded"])
    assert "cannot be revoked" in row.error
