"""While Credly fails an organization or asks it for fewer calls, that organization alone waits, and goes on by itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.configuration import gate
from pipeline.ledgers import webhooks
from pipeline.models import Badge, CredlyState, GateReason, Organization
from tests.ledgers import builders
from tests.ledgers.races import race
from tests.stages.conftest import Site, issue, make_site

pytestmark = pytest.mark.django_db

SOME_MORE = 3


def row(site: Site) -> Organization:
    return Organization.objects.get(pk=site.organization.pk)


def let_time_pass(site: Site) -> None:
    """Until the next probe may go."""
    Organization.objects.filter(pk=site.organization.pk).update(call_again_at=timezone.now())


def seconds_until_the_next_call(site: Site) -> float:
    again = row(site).call_again_at
    assert again is not None
    return (again - timezone.now()).total_seconds()


def try_badges(site: Site, number: int) -> list[Badge]:
    """So many new badges, each tried once."""
    rows = [site.badge() for _ in range(number)]
    for each in rows:
        issue(each)
    return rows


def break_circuit(site: Site) -> list[Badge]:
    """Credly fails until the gate closes; then some badges more, which the gate holds back."""
    site.fault("500")
    try_badges(site, gate.MOST_FAILURES)
    return try_badges(site, SOME_MORE)


def test_after_fifty_failures_in_a_row_no_further_call_is_made(site, caplog):
    held_back = break_circuit(site)
    assert len(site.calls()) == gate.MOST_FAILURES
    assert (row(site).gate_reason, row(site).failures) == (GateReason.FAILING, gate.MOST_FAILURES)
    assert [each.attempts for each in held_back] == [0] * SOME_MORE
    assert {each.credly_state for each in held_back} == {CredlyState.NONE}
    assert all("failed one call after the other" in each.error for each in held_back)
    assert [record.levelname for record in caplog.records if "in a row" in record.message] == ["ERROR"]


def test_without_the_gate_every_badge_would_be_tried(site, monkeypatch):
    """The control: as many badges, as many calls."""
    as_many = gate.MOST_FAILURES + SOME_MORE
    monkeypatch.setattr(gate, "MOST_FAILURES", 10**6)
    site.fault("500")
    try_badges(site, as_many)
    assert len(site.calls()) == as_many


def test_an_answer_between_failures_starts_the_count_anew(site):
    for _ in range(2):
        site.fault("500", times=gate.MOST_FAILURES - 1)
        try_badges(site, gate.MOST_FAILURES - 1)
        assert row(site).failures == gate.MOST_FAILURES - 1
        try_badges(site, 1)
        assert (row(site).failures, row(site).gate_reason) == (0, "")


def test_a_probe_that_fails_keeps_the_gate_closed_for_longer_and_longer(site):
    [held_back, *_] = break_circuit(site)
    waits = [seconds_until_the_next_call(site)]
    for _ in range(4):
        let_time_pass(site)
        issue(held_back)
        waits.append(seconds_until_the_next_call(site))
    assert [round(wait / 10) * 10 for wait in waits] == [10, 20, 40, 60, 60]
    assert len(site.calls()) == gate.MOST_FAILURES + 4


@pytest.mark.parametrize("preset", [None, "422-archived"])
def test_a_probe_that_credly_answers_in_any_way_wakes_what_was_held_back(site, preset):
    [probe, *others] = break_circuit(site)
    webhook = webhooks.Webhook.objects.get(pk=webhooks.receive(site.organization, site.template.uuid, "badge.created"))
    stages.webhook(webhook.pk)
    site.heal()
    if preset:
        site.fault(preset, times=1)
    let_time_pass(site)
    issue(probe)
    assert (row(site).gate_reason, row(site).failures, row(site).call_again_at) == ("", 0, None)
    for waiting in (*others, webhook):
        waiting.refresh_from_db()
        assert (waiting.due_at <= timezone.now(), waiting.attempts) == (True, 0)


def test_a_look_up_that_waits_for_a_late_effect_is_not_woken(site):
    site.fault("500")
    failed = try_badges(site, gate.MOST_FAILURES)
    [probe] = try_badges(site, 1)
    lost = Badge.objects.get(pk=failed[-1].pk)
    assert lost.credly_state == CredlyState.ISSUING
    site.heal()
    let_time_pass(site)
    issue(probe)
    assert (row(site).gate_reason, Badge.objects.get(pk=lost.pk).due_at) == ("", lost.due_at)


def test_after_an_outage_everything_is_issued_once(site):
    break_circuit(site)
    site.heal()
    for _ in range(4):
        for each in Badge.objects.filter(due_at__isnull=False):
            let_time_pass(site)
            issue(each)
    assert len(site.live()) == len(site.ledger()) == gate.MOST_FAILURES + SOME_MORE


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_moment_one_is_the_probe(credly):
    site = make_site(credly)
    break_circuit(site)
    let_time_pass(site)
    closed = row(site)
    passes = [until is None for until in race(lambda: gate.closed_until(Organization.objects.get(pk=closed.pk)))]
    assert passes.count(True) == 1


@pytest.mark.parametrize("fields", [{"email": ""}, {"email": "no address"}])
def test_a_probe_that_makes_no_call_leaves_its_place_to_the_next(site, fields):
    break_circuit(site)
    site.heal()
    unissuable, other = site.badge(learner=builders.learner(**fields)), site.badge()
    let_time_pass(site)
    issue(unissuable)
    issue(other)
    assert (unissuable.credly_state, other.credly_state) == (CredlyState.FAILED, CredlyState.PENDING)


def test_a_call_that_went_out_before_the_gate_closed_does_not_count_any_more(site):
    before = row(site)
    break_circuit(site)
    closed = row(site)
    gate.failed(before)
    gate.throttled(before, 600)
    assert (row(site).failures, row(site).call_again_at) == (closed.failures, closed.call_again_at)


def test_one_failing_organization_does_not_hold_up_another(site, credly):
    other = make_site(credly)
    break_circuit(site)
    [badge] = try_badges(other, 1)
    assert (badge.credly_state, row(other).gate_reason) == (CredlyState.PENDING, "")


def test_credly_is_left_alone_for_as_long_as_it_asks(site, credly):
    other = make_site(credly)
    site.fault("429", retry_after=90, times=1)
    _, second = try_badges(site, 2)
    assert len(site.calls()) == 1
    assert row(site).gate_reason == GateReason.THROTTLED
    assert 85 < seconds_until_the_next_call(site) <= 90
    assert (second.attempts, "fewer calls" in second.error) == (0, True)
    [badge] = try_badges(other, 1)
    assert badge.credly_state == CredlyState.PENDING
    let_time_pass(site)
    issue(second)
    assert (second.credly_state, row(site).gate_reason) == (CredlyState.PENDING, "")


@pytest.mark.parametrize(("named", "expected"), [({"retry_after": 86_400}, 900), ({"preset": "429-bare"}, 30)])
def test_how_long_credly_is_left_alone_is_bounded_and_never_nothing(site, named: dict[str, Any], expected):
    site.fault(named.get("preset", "429"), **{name: value for name, value in named.items() if name != "preset"})
    try_badges(site, 1)
    assert expected - 5 < seconds_until_the_next_call(site) <= expected


def test_a_refused_key_goes_before_the_other_reasons(site):
    break_circuit(site)
    gate.refused(row(site), "expired")
    assert gate.reason(row(site)) == GateReason.KEY_REFUSED
    let_time_pass(site)
    gate.failed(row(site))
    assert gate.reason(row(site)) == GateReason.KEY_REFUSED
    assert timedelta(0) < row(site).call_again_at - timezone.now()
