"""Reconciliation: each kind of difference is found and repaired, and nothing else is reported."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline import stages
from pipeline.credly.client import CredlyClient
from pipeline.ledgers import claims, discrepancies, holdings
from pipeline.ledgers.discrepancies import Repair
from pipeline.models import Badge, CredlyState, Discrepancy, Learner, Organization, Signal
from pipeline.stages.reconcile import Reconciliation
from tests.credly.emulated_credly import EmulatedCredly
from tests.ledgers import builders
from tests.ledgers.builders import make_due, signals
from tests.stages.conftest import NOBODY_LISTENS, Site, call_credly_at, issue, make_site, want
from tests.stages.credly_events import act, live_id, state

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "FIRST_WAIT", 0.001)


def reconcile(site: Site) -> Reconciliation:
    return stages.reconcile(site.organization.pk)


def found(site: Site) -> list[tuple[str, str]]:
    """What a reconciliation finds: kinds and details."""
    result = reconcile(site)
    assert result.failure == ""
    return [(row.kind, row.detail) for row in result.found]


def repair(site: Site) -> list[Repair]:
    """Repair all that was found, and let what that nudges run."""
    came = [discrepancies.repair(row, "olga") for row in Discrepancy.objects.order_by("pk")]
    for each in came:
        for pk in each.rechecks:
            stages.recheck(pk)
        for pk in each.badges:
            stages.issue(pk)
    return came


def issued_by_a_late_worker(site: Site, row: Badge) -> UUID:
    """The call of a worker that slept between its claim and its call, until others had gone on with the badge."""
    form = {"issuer_earner_id": str(row.learner.lms_user_id), "recipient_email": row.learner.email}
    return UUID(site.academy.issued(**form)["id"])


def at_credly(site: Site, credly_id: Any) -> str:
    [row] = [row for row in site.ledger() if row["id"] == str(credly_id)]
    return str(row["state"])


def actors(row: Badge) -> list[str]:
    return [entry.actor for entry in row.history.filter(what="reconcile")]


@pytest.fixture
def lax(db: None, credly: EmulatedCredly) -> Site:
    """Of its template Credly lets a learner hold two badges."""
    return make_site(credly, allow_duplicate_badges=True)


def test_where_all_is_alike_nothing_is_found_and_the_time_is_noted(site: Site):
    for _ in range(3):
        site.issued()
    result = reconcile(site)
    assert (result.compared, result.not_ours, result.found, result.failure) == (3, 0, [], "")
    assert Organization.objects.get().reconciled_at is not None


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


def lost(site: Site, row: Badge) -> None:
    """Credly, restored from an old backup, knows nothing of the badge: no badge, no event."""
    Badge.objects.filter(pk=row.pk).update(credly_id=uuid4())
    act(site, row, "delete")


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
    assert (state(of_extra), actors(of_extra)) == (("revoked", "rules", "revoked"), ["olga"])
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


def test_a_late_workers_second_badge_is_extra_and_waits_while_ours_is_live(lax: Site):
    """The whole story: two workers, of whom one slept between its claim and its call, and a Credly that allows both."""
    row = lax.badge()
    asleep = builders.claimed(row)
    issue(row)
    late = issued_by_a_late_worker(lax, row)
    holdings.held(asleep, late, CredlyState.PENDING, "issued")
    row.refresh_from_db()
    assert row.credly_id != late
    assert found(lax) == [("extra", f"pending at Credly beside the learner's {row.credly_id}")]
    assert repair(lax)[0].refusal.startswith("Another badge of the learner for this template is live here")
    assert (len(lax.live()), Badge.objects.count(), Discrepancy.objects.get().repair_queued_at) == (2, 1, None)
    want(row, "revoked")
    issue(row)
    assert found(lax) == [("extra", "pending at Credly, the learner's is revoked here")]
    repair(lax)
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


@pytest.mark.parametrize("earner", [None, "by-hand", "4711", "9" * 30, "²"])
def test_what_was_issued_by_hand_is_counted_and_never_touched(site: Site, earner: str | None):
    site.issued()
    builders.learner(lms_user_id=4711)  # known here, but without a badge of this template
    by_hand = site.academy.issued(issuer_earner_id=earner)["id"]
    result = reconcile(site)
    assert (result.compared, result.not_ours, result.found) == (2, 1, [])
    assert at_credly(site, by_hand) == "pending"


def test_badges_of_templates_that_are_not_known_here_are_passed_over(site: Site):
    created = {"organization": site.academy.organization, "name": "Other"}
    other = site.emulator.control("POST", "templates", created)["id"]
    site.academy.issued(badge_template_id=other)
    assert (reconcile(site).compared, found(site)) == (0, [])


@pytest.mark.parametrize(
    "moving",
    [
        {"due_at": builders.START},
        {"credly_state": "issuing"},
        {"credly_state": "revoking", "standing": "revoked"},
        {"claim": uuid4()},
    ],
    ids=["due", "issuing", "revoking", "claimed"],
)
@pytest.mark.parametrize("difference", ["accept", "delete", "second"])
def test_about_a_badge_in_motion_nothing_is_reported(lax: Site, moving: dict[str, Any], difference: str):
    row = lax.issued()
    if difference == "second":
        issued_by_a_late_worker(lax, row)
    else:
        act(lax, row, difference)
    assert len(found(lax)) == 1
    Badge.objects.filter(pk=row.pk).update(**moving)
    assert found(lax) == []


def after_first(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], object]) -> None:
    """Let something happen once, just after Credly answered the first such call and before we go on."""
    ask = getattr(CredlyClient, call)

    def answer(client: CredlyClient, asked: Any) -> Any:
        outcome = ask(client, asked)
        monkeypatch.setattr(CredlyClient, call, ask)
        happens()
        return outcome

    monkeypatch.setattr(CredlyClient, call, answer)


@pytest.mark.parametrize("what", ["accept", "delete"])
@pytest.mark.parametrize("call", ["badge_page", "badge"])
def test_what_is_told_here_while_credly_is_asked_is_no_difference(
    site: Site, monkeypatch: pytest.MonkeyPatch, call: str, what: str
):
    row = site.issued()
    if call == "badge":
        act(site, row, what)
        after_first(monkeypatch, call, lambda: stages.recheck(row.pk))
    else:
        after_first(monkeypatch, call, lambda: (act(site, row, what), stages.recheck(row.pk)))
    assert found(site) == []
    assert state(row)[2] != "pending"


def test_a_second_badge_that_becomes_ours_while_credly_is_asked_is_not_extra(
    lax: Site, monkeypatch: pytest.MonkeyPatch
):
    row = lax.issued()
    late = issued_by_a_late_worker(lax, row)
    after_first(monkeypatch, "badge", lambda: Badge.objects.filter(pk=row.pk).update(credly_id=late))
    assert found(lax) == []


def test_a_badge_that_slips_from_page_to_page_is_looked_up_and_not_missing(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.emulator.switch(page_size=2)
    by_hand = site.academy.issued(issuer_earner_id=None)["id"]
    rows = [site.issued() for _ in range(4)]
    after_first(monkeypatch, "badge_page", lambda: site.academy.call("DELETE", f"/badges/{by_hand}"))
    assert found(site) == []
    assert len(site.calls("GET", f"/badges/{rows[1].credly_id}$")) == 1


def test_all_pages_are_read(site: Site):
    site.emulator.switch(page_size=2)
    rows = [site.issued() for _ in range(5)]
    act(site, rows[-1], "accept")
    result = reconcile(site)
    assert (result.compared, len(result.found)) == (5, 1)


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


def test_when_credly_fails_the_last_findings_stand(site: Site, settings: Any):
    act(site, site.issued(), "accept")
    reconcile(site)
    call_credly_at(NOBODY_LISTENS, settings)
    result = reconcile(site)
    assert result.failure.startswith("Credly gave no usable answer")
    assert Discrepancy.objects.count() == 1


def test_a_page_that_fails_is_asked_for_again(site: Site):
    act(site, site.issued(), "accept")
    site.fault("500", method="GET", times=2)
    site.fault(method="GET", times=1, status=429, headers={"Retry-After": "0"})
    assert len(found(site)) == 1


def test_a_credly_that_asks_to_be_left_alone_for_long_is(site: Site):
    site.fault(method="GET", status=429, headers={"Retry-After": "3600"})
    assert reconcile(site).failure == "Credly asked for fewer calls."
    assert len(site.calls("GET", "/badges$")) == 1


def test_a_reconciliation_ends_in_time(site: Site):
    site.issued()
    result = stages.reconcile(site.organization.pk, seconds=-1)
    assert result.failure == "Credly took longer than -1 seconds."


def test_a_dead_key_closes_the_gate_and_the_next_makes_no_call(site: Site):
    Organization.objects.update(api_key=uuid4().hex)
    assert reconcile(site).failure.startswith("Credly refuses the organization's key")
    calls = len(site.calls("GET", "/badges$"))
    assert reconcile(site).failure.startswith("Credly is not called for this organization before ")
    assert len(site.calls("GET", "/badges$")) == calls


def test_a_key_that_may_not_list_badges_leaves_the_gate_open(site: Site):
    site.fault(method="GET", match={"path": "/badges$"}, status=403, body={"data": {"message": "No."}})
    assert reconcile(site).failure == "Credly refuses the organization's key: No."
    assert Organization.objects.get().key_refused_since is None


def test_an_organization_without_a_key_or_none_at_all_fails_in_words(site: Site):
    Organization.objects.update(api_key="")
    assert reconcile(site).failure.startswith("This organization has no API key")
    assert stages.reconcile(10**9).failure == "There is no such organization any more."


def test_an_answer_reopens_the_gate(site: Site):
    Organization.objects.update(key_refused_since=builders.START, call_again_at=None)
    assert found(site) == []
    assert Organization.objects.get().key_refused_since is None


def test_progress_is_told_after_each_call(site: Site):
    site.emulator.switch(page_size=2)
    rows = [site.issued() for _ in range(3)]
    act(site, rows[0], "accept")
    told: list[Any] = []
    stages.reconcile(site.organization.pk, lambda done, total: told.append((done, total)))
    assert told == [(1, None), (2, 2), (3, None)]
