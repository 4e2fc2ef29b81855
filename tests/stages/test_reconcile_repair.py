"""Repair of what a reconciliation found: each kind from end to end, each once, and nothing that moved on since."""

from uuid import uuid4

import pytest

from pipeline import stages
from pipeline.ledgers import discrepancies, holdings
from pipeline.ledgers.discrepancies import Repair
from pipeline.models import Badge, CredlyState, Discrepancy, Learner, Signal
from tests.credly.emulated_credly import EmulatedCredly
from tests.ledgers import builders
from tests.ledgers.builders import make_due, signals
from tests.stages.conftest import Site, issue, make_site, want
from tests.stages.credly_events import act, live_id, state
from tests.stages.reconciling import actors, at_credly, found, issued_by_a_late_worker, lost, reconcile, repair

pytestmark = pytest.mark.django_db


@pytest.fixture
def lax(db: None, credly: EmulatedCredly) -> Site:
    """Of its template Credly lets a learner hold two badges."""
    return make_site(credly, allow_duplicate_badges=True)


@pytest.mark.parametrize("what", ["accept", "reject"])
def test_what_a_learner_did_and_no_webhook_told_is_different_and_taken_over(site: Site, what: str):
    row = site.issued()
    act(site, row, what)
    assert found(site) == [("different", f"{what}ed at Credly, pending here")]
    assert repair(site) == [Repair(rechecks=[row.pk])]
    assert (state(row), actors(row)) == (("awarded", "", f"{what}ed"), ["olga"])
    assert found(site) == []


@pytest.mark.parametrize(
    ("what", "detail"),
    [("revoke", "revoked at Credly, pending here"), ("delete", "deleted at Credly, pending here")],
)
def test_what_was_taken_back_at_credly_is_different_and_ends_here_with_its_signal(site: Site, what: str, detail: str):
    row = site.issued()
    act(site, row, what)
    assert found(site) == [("different", detail)]
    repair(site)
    assert (state(row), signals(row)) == (("revoked", "credly", "revoked"), ["awarded", "revoked"])
    assert found(site) == []


def test_of_a_replaced_badge_only_the_replacement_is_told_and_becomes_ours(site: Site):
    row = site.issued()
    act(site, row, "replace")
    act(site, row, "replace")
    new = live_id(site, row)
    [(kind, detail)] = found(site)
    assert (kind, detail.startswith("replaced at Credly by ")) == ("different", True)
    repair(site)
    row.refresh_from_db()
    assert (str(row.credly_id), row.credly_state) == (new, "pending")
    assert found(site) == []


def test_a_badge_that_credly_does_not_know_is_missing_and_issued_again_and_told_once(site: Site):
    row = site.issued()
    lost(site, row)
    assert found(site) == [("missing", "pending here, unknown at Credly")]
    assert repair(site) == [Repair(badges=[row.pk])]
    [at_credly] = site.live()
    assert (state(row), str(row.credly_id)) == (("awarded", "", "pending"), at_credly["id"])
    assert (signals(row), actors(row)) == (["awarded"], ["olga"])
    assert found(site) == []


def test_a_missing_badge_that_credly_holds_after_all_is_adopted(site: Site):
    row = site.issued()
    Badge.objects.filter(pk=row.pk).update(credly_id=uuid4())
    kinds = {row.kind: row for row in reconcile(site).found}
    assert set(kinds) == {"missing", "extra"}
    assert repair(site)[1].refusal == "The learner's badges changed since."
    assert (state(row), len(site.calls()), len(site.live())) == (("awarded", "", "pending"), 1, 1)
    assert found(site) == []


def test_of_a_retired_learner_nothing_missing_is_issued(site: Site):
    row = site.issued()
    lost(site, row)
    Learner.objects.update(retired_at=builders.START)
    assert [kind for kind, _ in found(site)] == ["missing"]
    assert repair(site)[0].refusal.startswith("The learner was retired")
    assert (state(row)[2], Discrepancy.objects.get().repair_queued_at) == ("pending", None)


def test_a_late_workers_badge_after_the_revocation_is_extra_and_revoked_in_silence(site: Site):
    row = site.issued()
    want(row, "revoked")
    issue(row)
    late = issued_by_a_late_worker(site, row)
    assert found(site) == [("extra", "pending at Credly, the learner's is revoked here")]
    repair(site)
    assert (at_credly(site, late), site.live()) == ("revoked", [])
    of_extra = Badge.objects.get(credly_id=late)
    assert (state(of_extra), actors(of_extra)) == (("revoked", "extra", "revoked"), ["olga"])
    assert list(Signal.objects.filter(badge=of_extra).values_list("state", flat=True)) == ["disabled"]
    assert signals(row) == ["awarded", "revoked"]
    assert found(site) == []


def test_the_row_of_an_extra_badge_is_not_the_learners_newest(site: Site):
    """Else a learner whose badge a person had revoked would be given it back by the next event."""
    who = builders.lms_learner()
    [pk] = builders.deliver(builders.passes(who, 1))
    row = Badge.objects.get(pk=pk)
    issue(row)
    Badge.objects.update(standing="revoked", revoked_by="operator")
    issue(row)
    late = issued_by_a_late_worker(site, row)
    reconcile(site)
    repair(site)
    newest = Badge.objects.order_by("-cycle").first()
    assert (newest, newest.revoked_by, Badge.objects.get(credly_id=late).cycle) == (row, "operator", 1)
    assert builders.deliver(builders.fails(who, 2), builders.passes(who, 3)) == []


def test_a_late_workers_badge_after_a_cancellation_is_extra_and_revoked_untold(site: Site):
    row = site.badge(standing="revoked", revoked_by="rules", due_at=None)
    late = issued_by_a_late_worker(site, row)
    assert [kind for kind, _ in found(site)] == ["extra"]
    repair(site)
    assert (at_credly(site, late), signals(row), state(row)[2]) == ("revoked", [], "none")
    assert found(site) == []


def test_a_late_workers_second_badge_is_extra_and_revoked_in_silence_while_ours_stays(lax: Site):
    """The whole story: two workers, of whom one slept between its claim and its call, and a Credly that allows both."""
    row = lax.badge()
    asleep = builders.claimed(row)
    issue(row)
    late = issued_by_a_late_worker(lax, row)
    holdings.held(asleep, late, CredlyState.PENDING, "issued")
    row.refresh_from_db()
    assert row.credly_id != late
    assert found(lax) == [("extra", "pending at Credly beside the learner's own")]
    assert repair(lax)[0].refusal == ""
    [at_credly] = lax.live()
    assert (at_credly["id"], state(row), signals(row)) == (str(row.credly_id), ("awarded", "", "pending"), ["awarded"])
    of_extra = Badge.objects.get(credly_id=late)
    assert (state(of_extra), of_extra.revocation_reason) == (
        ("revoked", "extra", "revoked"),
        discrepancies.ISSUED_TWICE,
    )
    assert list(Signal.objects.filter(badge=of_extra).values_list("state", flat=True)) == ["disabled"]
    assert found(lax) == []
    want(row, "revoked")
    issue(row)
    assert (lax.live(), signals(row), found(lax)) == ([], ["awarded", "revoked"], [])


def test_a_badge_that_is_live_at_credly_and_revoked_here_is_extra_and_revoked(site: Site):
    row = site.issued()
    Badge.objects.filter(pk=row.pk).update(standing="revoked", revoked_by="rules", credly_state="revoked")
    assert found(site) == [("extra", "pending at Credly, revoked here")]
    repair(site)
    assert (at_credly(site, row.credly_id), state(row)[2], found(site)) == ("revoked", "revoked", [])


def test_a_badge_that_failed_here_and_is_live_at_credly_is_adopted(lax: Site):
    row = lax.badge(credly_state="failed", due_at=None)
    late = issued_by_a_late_worker(lax, row)
    assert found(lax) == [("different", "pending at Credly, failed here")]
    repair(lax)
    row.refresh_from_db()
    assert (row.credly_id, row.credly_state, len(lax.live()), signals(row)) == (late, "pending", 1, ["awarded"])


def test_a_repair_is_queued_once_and_a_newer_reconciliation_takes_its_place(site: Site):
    row = site.issued()
    act(site, row, "accept")
    [first] = reconcile(site).found
    assert discrepancies.repair(first, "olga").rechecks == [row.pk]
    assert discrepancies.repair(first, "olga").refusal.startswith("Its repair is queued already")
    [second] = reconcile(site).found
    assert discrepancies.repair(first, "olga").refusal.startswith("Its repair is queued already")
    assert second.repair_queued_at is None
    assert discrepancies.repair(second, "olga").rechecks == [row.pk]


@pytest.mark.parametrize("what", ["accept", "delete", "lost", "second"])
def test_what_moved_on_since_is_not_repaired(lax: Site, what: str):
    row = lax.issued()
    if what == "second":
        issued_by_a_late_worker(lax, row)
    elif what == "lost":
        lost(lax, row)
    else:
        act(lax, row, what)
    [discrepancy] = reconcile(lax).found
    make_due(row)
    assert discrepancies.repair(discrepancy, "olga").refusal.endswith("changed since.")
    assert (Discrepancy.objects.get().repair_queued_at, actors(row)) == (None, [])


def test_each_organization_is_compared_by_itself(site: Site):
    other = make_site(site.emulator)
    act(site, site.issued(), "accept")
    act(other, other.issued(), "reject")
    assert found(site) == [("different", "accepted at Credly, pending here")]
    assert found(other) == [("different", "rejected at Credly, pending here")]
    assert Discrepancy.objects.count() == 2
    repair(site)
    assert (found(site), found(other), Discrepancy.objects.count()) == ([], [], 0)


def test_of_two_extra_badges_the_second_waits_until_the_first_is_revoked(lax: Site):
    row = lax.issued()
    want(row, "revoked")
    issue(row)
    for _ in range(2):
        issued_by_a_late_worker(lax, row)
    first, second = reconcile(lax).found
    assert len(discrepancies.repair(first, "olga").badges) == 1
    assert discrepancies.repair(second, "olga").refusal == "The learner's badges changed since."
    assert found(lax) == []  # the learner's badges are in motion
    stages.issue(Badge.objects.get(credly_id=first.credly_id).pk)
    assert len(found(lax)) == 1
    repair(lax)
    assert (lax.live(), found(lax)) == ([], [])


def test_an_extra_badge_that_the_learner_has_earned_since_is_not_revoked(site: Site):
    row = site.badge(standing="revoked", revoked_by="rules", due_at=None)
    late = issued_by_a_late_worker(site, row)
    [discrepancy] = reconcile(site).found
    Badge.objects.filter(pk=row.pk).update(standing="awarded", revoked_by="", credly_state="failed")
    assert discrepancies.repair(discrepancy, "olga").refusal == "The learner's badges changed since."
    assert found(site) == [("different", "pending at Credly, failed here")]
    repair(site)
    row.refresh_from_db()
    assert (row.credly_id, at_credly(site, late)) == (late, "pending")
