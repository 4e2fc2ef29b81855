"""Discrepancies in the admin, and having badges reconciled."""

from typing import Any

import pytest
from django.test import Client

from pipeline import stages
from pipeline.models import Badge, Discrepancy, DiscrepancyKind, Organization
from tests.admin.pages import act, list_url, listed, logged, nudged, page_url, queries, text, told
from tests.ledgers.builders import make_due
from tests.stages import credly_events
from tests.stages.conftest import Site, make_site

pytestmark = pytest.mark.django_db


def different(site: Site) -> Discrepancy:
    """A badge that its learner accepted, which nobody told us."""
    row = site.issued()
    credly_events.act(site, row, "accept")
    stages.reconcile(site.organization.pk)
    return Discrepancy.objects.get(badge=row)


def missing(site: Site) -> Discrepancy:
    """A badge that Credly does not know."""
    row = site.issued()
    Badge.objects.filter(pk=row.pk).update(credly_id=row.uuid)
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    stages.reconcile(site.organization.pk)
    return Discrepancy.objects.get(badge=row)


def test_the_list_says_what_differs_about_whom(viewer: Client, site: Site):
    row = different(site)
    shown = text(viewer.get(list_url(Discrepancy)))
    for part in ("different at Credly", "accepted at Credly, pending here", row.badge.learner.username, "Intro Course"):
        assert part in shown


def test_discrepancies_are_filtered_by_kind_organization_and_repair(viewer: Client, site: Site):
    other = make_site(site.emulator)
    ours, theirs = different(site), different(other)
    Discrepancy.objects.filter(pk=theirs.pk).update(kind=DiscrepancyKind.EXTRA, repair_queued_at=theirs.found_at)
    assert listed(viewer, Discrepancy, kind__exact="different") == [ours.pk]
    assert listed(viewer, Discrepancy, organization__id__exact=other.organization.pk) == [theirs.pk]
    assert listed(viewer, Discrepancy, repair="no") == [ours.pk]
    assert listed(viewer, Discrepancy, repair="yes") == [theirs.pk]


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(viewer: Client, site: Site):
    row = different(site)
    for_one = queries(viewer, Discrepancy)
    for _ in range(9):
        row.pk = None
        row.save()
    assert queries(viewer, Discrepancy) == for_one


def test_a_repair_names_what_will_happen_and_asks(
    operator: Client, site: Site, django_capture_on_commit_callbacks: Any
):
    row = different(site)
    with django_capture_on_commit_callbacks() as callbacks:
        asked = act(operator, "repair", [row])
    assert "Credly is asked once more, and what it says then is taken over here." in text(asked)
    assert (Discrepancy.objects.get().repair_queued_at, nudged(callbacks), logged()) == (None, [], [])


def test_a_confirmed_repair_is_queued_and_says_who_asked(
    operator: Client, site: Site, django_capture_on_commit_callbacks: Any
):
    lost = missing(site)
    row = different(site)
    lost = Discrepancy.objects.get(kind="missing")
    with django_capture_on_commit_callbacks() as callbacks:
        answer = act(operator, "repair", [lost, row], confirmed="1")
    assert told(answer) == ["The repair of 2 discrepancies is queued."]
    assert nudged(callbacks) == [("issue", [[lost.badge_id]]), ("recheck", [row.badge_id])]
    assert [badge.history.last().actor for badge in Badge.objects.all()] == ["operator", "operator"]
    assert logged() == [(str(lost.pk), "Repair queued."), (str(row.pk), "Repair queued.")]
    assert operator.get(page_url(row)).context["operations"] == []


def test_a_repair_that_is_refused_says_why(operator: Client, site: Site):
    row = different(site)
    make_due(row.badge)
    assert told(act(operator, "repair", [row], confirmed="1")) == ["Not repaired (1): The badge changed since."]
    assert logged() == []


def test_a_repair_is_a_button_on_its_page_and_leads_back_there(operator: Client, site: Site):
    row = different(site)
    assert [each.action for each in operator.get(page_url(row)).context["operations"]] == ["repair"]
    answer = act(operator, "repair", [row], confirmed="1", from_page="1")
    assert answer.redirect_chain == [(page_url(row), 302)]


def test_viewers_repair_nothing(viewer: Client, site: Site):
    row = different(site)
    assert viewer.get(page_url(row)).context["operations"] == []
    act(viewer, "repair", [row], confirmed="1")
    assert Discrepancy.objects.get().repair_queued_at is None


def test_organizations_are_reconciled_in_the_background(
    operator: Client, site: Site, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks() as callbacks:
        answer = act(operator, "reconcile", [site.organization])
    [message] = told(answer)
    assert message.startswith("The badges of 1 organization are being compared with Credly's in the background")
    assert nudged(callbacks) == [("reconcile", [site.organization.pk])]
    assert logged() == [(str(site.organization.pk), "Had its badges compared with Credly's in the background.")]


def test_viewers_reconcile_nothing(viewer: Client, site: Site, django_capture_on_commit_callbacks: Any):
    with django_capture_on_commit_callbacks() as callbacks:
        act(viewer, "reconcile", [site.organization])
    assert callbacks == []
    assert Organization.objects.get().reconciled_at is None
