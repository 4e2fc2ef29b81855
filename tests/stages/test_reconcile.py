"""Reconciliation: what differs at Credly is found, and nothing else is reported."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from pipeline import stages
from pipeline.credly.client import CredlyClient
from pipeline.ledgers import claims
from pipeline.models import Badge, Discrepancy, Organization
from tests.credly.emulated_credly import EmulatedCredly
from tests.ledgers import builders
from tests.stages.conftest import NOBODY_LISTENS, Site, call_credly_at, make_site
from tests.stages.credly_events import act, state
from tests.stages.reconciling import at_credly, found, issued_by_a_late_worker, reconcile

pytestmark = pytest.mark.django_db


@pytest.fixture
def lax(db: None, credly: EmulatedCredly) -> Site:
    """Of its template Credly lets a learner hold two badges."""
    return make_site(credly, allow_duplicate_badges=True)


def after_first(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], object]) -> None:
    """Let something happen once, just after Credly answered the first such call and before we go on."""
    ask = getattr(CredlyClient, call)

    def answer(client: CredlyClient, asked: Any) -> Any:
        outcome = ask(client, asked)
        monkeypatch.setattr(CredlyClient, call, ask)
        happens()
        return outcome

    monkeypatch.setattr(CredlyClient, call, answer)


def test_where_all_is_alike_nothing_is_found_and_the_time_is_noted(site: Site):
    for _ in range(3):
        site.issued()
    result = reconcile(site)
    assert (result.compared, result.not_ours, result.found, result.failure) == (3, 0, [], "")
    assert Organization.objects.get().reconciled_at is not None


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


@pytest.mark.parametrize("what", ["accept", "revoke"])
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


def test_when_credly_fails_the_last_findings_stand(site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "FIRST_WAIT", 0.001)
    act(site, site.issued(), "accept")
    reconcile(site)
    call_credly_at(NOBODY_LISTENS, settings)
    result = reconcile(site)
    assert result.failure.startswith("Credly gave no usable answer")
    assert Discrepancy.objects.count() == 1


def test_a_page_that_fails_is_asked_for_again(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "FIRST_WAIT", 0.001)
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
    assert reconcile(site).failure.startswith("Credly is not called: the organization has no working API key.")
    assert len(site.calls("GET", "/badges$")) == calls


def test_a_key_that_may_not_list_badges_leaves_the_gate_open(site: Site):
    site.fault(method="GET", match={"path": "/badges$"}, status=403, body={"data": {"message": "No."}})
    assert reconcile(site).failure == "Credly refuses the organization's key: No."
    assert Organization.objects.get().gate_closed_at is None


def test_an_organization_without_a_key_or_none_at_all_fails_in_words(site: Site):
    Organization.objects.update(api_key="")
    assert reconcile(site).failure.startswith("This organization has no API key")
    assert stages.reconcile(10**9).failure == "There is no such organization any more."


def test_an_answer_reopens_the_gate(site: Site):
    Organization.objects.update(gate_reason="key refused", gate_closed_at=builders.START, call_again_at=None)
    assert found(site) == []
    assert Organization.objects.get().gate_closed_at is None


def test_progress_is_told_after_each_call(site: Site):
    site.emulator.switch(page_size=2)
    rows = [site.issued() for _ in range(3)]
    act(site, rows[0], "accept")
    told: list[Any] = []
    stages.reconcile(site.organization.pk, lambda done, total: told.append((done, total)))
    assert told == [(1, None), (2, 2), (3, None)]
