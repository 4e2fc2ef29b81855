"""While Credly refuses an organization's key, that organization alone waits, and goes on by itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.models import Badge, Organization
from tests.stages.conftest import Site, issue, make_site

pytestmark = pytest.mark.django_db


def run(site: Site, *rows: Badge) -> None:
    """Have each of these badges looked at once, as they come due."""
    for row in rows:
        issue(row)
    site.organization.refresh_from_db()


def pass_a_minute(site: Site) -> None:
    Organization.objects.filter(pk=site.organization.pk).update(call_again_at=timezone.now())


@pytest.mark.parametrize("preset", ["401", "403"])
def test_after_a_refused_key_no_further_call_is_made(site, preset, caplog):
    for method in ("POST", "GET"):
        site.fault(preset, method=method)
    rows = [site.badge() for _ in range(5)]
    run(site, *rows)
    assert len(site.calls()) == 1
    assert site.organization.gate_closed_at is not None
    assert {row.credly_state for row in rows} == {"none"}
    assert all(row.due_at > timezone.now() and "key" in row.error for row in rows)
    assert [row.attempts for row in rows] == [1, 0, 0, 0, 0]
    assert str(site.organization.uuid) in caplog.text
    assert site.academy.key not in caplog.text


def test_a_call_that_is_forbidden_while_the_key_works_holds_back_its_own_badge_alone(site):
    forbidden, other = site.badge(), site.badge()
    site.fault("403", times=1)
    run(site, forbidden)
    assert (forbidden.credly_state, forbidden.due_at is not None) == ("none", True)
    assert "forbids" in forbidden.error
    assert site.organization.gate_closed_at is None
    run(site, other)
    assert other.credly_state == "pending"
    run(site, forbidden)
    assert forbidden.credly_state == "pending"


def test_one_probe_a_minute_is_let_through(site):
    site.fault("401")
    rows = [site.badge() for _ in range(4)]
    run(site, *rows, *rows)
    assert len(site.calls()) == 1
    for minute in range(1, 4):
        pass_a_minute(site)
        run(site, *rows, *rows)
        assert len(site.calls()) == 1 + minute
        assert site.organization.gate_closed_at is not None


def test_the_organization_is_blamed_once_and_the_time_since_when_is_kept(site, caplog):
    site.fault("401")
    row = site.badge()
    run(site, row)
    since = site.organization.gate_closed_at
    pass_a_minute(site)
    run(site, row)
    assert site.organization.gate_closed_at == since
    assert [record.levelname for record in caplog.records if "no working API key" in record.message] == ["ERROR"]


def test_other_organizations_go_on(site, credly):
    site.fault("401")
    other = make_site(credly)
    run(site, site.badge(), site.badge())
    row = other.badge()
    run(other, row)
    assert row.credly_state == "pending"
    assert other.organization.gate_closed_at is None


def test_when_the_key_works_again_the_next_probe_makes_all_waiting_badges_due(site):
    site.fault("401")
    rows = [site.badge() for _ in range(4)]
    run(site, *rows)
    site.heal()
    pass_a_minute(site)
    run(site, rows[2])
    assert rows[2].credly_state == "pending"
    assert (site.organization.gate_closed_at, site.organization.call_again_at) == (None, None)
    waiting = Badge.objects.exclude(pk=rows[2].pk)
    assert waiting.filter(due_at__lte=timezone.now()).count() == 3
    for row in waiting:
        stages.issue(row.pk)
    assert len(site.live()) == 4


def test_a_replaced_key_is_used_at_the_next_probe(site):
    site.fault("401", times=1)
    row = site.badge()
    run(site, row)
    key = "the-new-key"
    site.emulator.control("POST", "tokens", {"organization": site.academy.organization, "token": key})
    site.organization.api_key = key
    site.organization.save()
    pass_a_minute(site)
    run(site, row)
    assert row.credly_state == "pending"


def test_a_badge_that_has_to_be_looked_up_is_still_to_be_looked_up_after_the_key_was_refused(site):
    row = site.badge()
    site.fault("reset-after-success", times=1)
    run(site, row)
    site.fault("401", method="GET", times=1)
    run(site, row)
    assert row.credly_state == "issuing"
    pass_a_minute(site)
    run(site, row)
    assert (row.credly_state, len(site.calls()), len(site.live())) == ("pending", 1, 1)


def test_a_refused_revocation_leaves_the_badge_held_until_the_key_works(site):
    row = site.issued()
    Badge.objects.update(standing="revoked")
    site.fault("401", method="PUT", times=1)
    run(site, row)
    assert row.credly_state == "pending"
    pass_a_minute(site)
    run(site, row)
    assert (row.credly_state, site.live()) == ("revoked", [])


def test_a_badge_that_waits_looks_again_when_the_next_probe_may_go(site):
    site.fault("401")
    first, second = site.badge(), site.badge()
    run(site, first, second)
    assert second.due_at == site.organization.call_again_at
    assert second.due_at - timezone.now() <= timedelta(minutes=1)


def test_a_badge_that_credly_rejects_shows_as_well_that_the_key_works(site):
    """A 422 is said to somebody whom Credly knows: the others need not wait for a badge that fares better."""
    site.fault("401", times=1)
    rows = [site.badge(), site.badge()]
    run(site, *rows)
    site.fault("422-archived", times=1)
    pass_a_minute(site)
    run(site, rows[0])
    assert rows[0].credly_state == "failed"
    assert site.organization.gate_closed_at is None
