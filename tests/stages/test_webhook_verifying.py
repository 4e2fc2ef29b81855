"""webhook: what is forged or foreign changes nothing, and while Credly does not answer nothing is lost."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.ledgers import holdings
from pipeline.ledgers.holdings import Done
from pipeline.models import Organization, Signal, Template, Webhook
from tests.stages.conftest import NOBODY_LISTENS, call_credly_at, make_site
from tests.stages.credly_events import act, handle, happened, posted, state, told

pytestmark = pytest.mark.django_db


def test_an_event_that_credly_does_not_know_is_refused_and_changes_nothing(site):
    badge = site.issued()
    row = posted(site, uuid4(), "badge.deleted")
    assert handle(row) == Done()
    assert (row.state, row.outcome) == ("refused", "Credly knows no such event.")
    assert state(badge) == ("awarded", "", "pending")


def test_an_event_that_credly_does_not_show_yet_is_looked_for_again_before_it_is_refused(site):
    badge = site.issued()
    act(site, badge, "accept")
    row = posted(site, happened(site, "badge.state.changed")[-1]["id"])
    Webhook.objects.update(received_at=timezone.now())
    not_found = {"data": {"message": "Event not found"}}
    site.fault(method="GET", status=404, body=not_found, times=1)
    handle(row)
    assert (row.state, row.due_at) == ("waiting", Webhook.objects.get().received_at + timedelta(seconds=30))
    handle(row)
    assert (row.state, state(badge)[2]) == ("handled", "accepted")


def test_a_forged_type_on_a_real_event_is_not_obeyed(site):
    badge = site.issued()
    row = posted(site, happened(site, "badge.created")[-1]["id"], "badge.deleted")
    handle(row)
    assert (row.event_type, row.state) == ("badge.created", "handled")
    assert state(badge) == ("awarded", "", "pending")


def test_an_event_of_another_organization_is_none_of_ours(site, credly):
    other = make_site(credly)
    badge = other.issued()
    act(other, badge, "revoke")
    row = posted(site, happened(other, "badge.state.changed")[-1]["id"])
    handle(row)
    assert (row.state, state(badge)[2]) == ("refused", "pending")


def test_an_event_that_credly_tells_of_another_organization_is_refused(site):
    badge = site.issued()
    act(site, badge, "revoke")
    event = happened(site, "badge.state.changed")[-1] | {"organization_id": str(uuid4())}
    site.fault(method="GET", match={"path": "/events/"}, status=200, body={"data": event})
    row = told(site, "badge.state.changed")
    assert (row.state, state(badge)[2]) == ("refused", "pending")


def test_a_badge_that_another_organization_here_issued_is_left_alone(site, credly):
    """Whatever Credly showed to this organization's key, it is not this organization's badge here."""
    badge = site.issued()
    act(site, badge, "revoke")
    other = make_site(credly)
    Template.objects.filter(pk=site.template.pk).update(organization=other.organization)
    row = told(site, "badge.state.changed")
    assert (row.state, state(badge)[2]) == ("ignored", "pending")


def test_a_badge_that_was_not_issued_by_us_is_ignored_without_another_call(site):
    site.academy.issued()
    row = told(site, "badge.created")
    assert (row.state, row.outcome) == ("ignored", "This badge was not issued by us.")
    assert site.calls("GET", "/badges/") == []


def test_an_event_of_a_type_that_we_do_not_know_is_ignored(site):
    site.issued()
    event = happened(site, "badge.created")[-1]
    site.fault(method="GET", match={"path": "/events/"}, status=200, body={"data": event | {"event_type": "news.x"}})
    row = told(site, "badge.created")
    assert (row.state, row.event_type) == ("ignored", "news.x")


@pytest.mark.parametrize("event_type", ["badge.created", "badge_template.changed"])
def test_an_event_that_does_not_name_its_subject_is_ignored(site, event_type):
    site.issued()
    event = happened(site, "badge.created")[-1] | {"event_type": event_type}
    event.pop("badge")
    site.fault(method="GET", match={"path": "/events/"}, status=200, body={"data": event})
    row = told(site, "badge.created")
    assert (row.state, "does not say which" in row.outcome) == ("ignored", True)


@pytest.mark.parametrize("path", ["/events/", "/badges/"])
@pytest.mark.parametrize("preset", ["500", "429", "reset-before", "502-html", "cut-json"])
def test_while_credly_does_not_answer_the_webhook_waits_and_nothing_is_lost(site, preset, path):
    badge = site.issued()
    act(site, badge, "revoke")
    site.fault(preset, method="GET", match={"path": path}, times=1)
    row = told(site, "badge.state.changed")
    assert (row.state, row.attempts, row.due_at > timezone.now(), row.error != "") == ("waiting", 1, True, True)
    assert state(badge)[2] == "pending"
    handle(row)
    assert (row.state, row.error, state(badge)[2]) == ("handled", "", "revoked")


def test_a_credly_that_cannot_be_reached_is_tried_again(site, settings):
    site.issued()
    event = happened(site, "badge.created")[-1]["id"]
    call_credly_at(NOBODY_LISTENS, settings)
    row = posted(site, event)
    for attempts in (1, 2):
        handle(row)
        assert (row.state, row.attempts) == ("waiting", attempts)


def test_the_time_that_credly_names_is_kept(site):
    site.issued()
    site.fault("429", method="GET", retry_after=300, times=1)
    row = told(site, "badge.created")
    assert timedelta(seconds=280) < row.due_at - timezone.now() <= timedelta(seconds=300)


@pytest.mark.parametrize("preset", ["401", "403"])
def test_a_refused_key_closes_the_gate_and_all_that_waits_goes_on_with_the_next_probe(site, preset):
    badge, waiting = site.issued(), site.badge()
    act(site, badge, "accept")
    site.fault(preset, method="GET")
    row = told(site, "badge.state.changed")
    site.organization.refresh_from_db()
    assert (row.state, site.organization.gate_closed_at is not None) == ("waiting", True)
    other = posted(site, happened(site, "badge.created")[-1]["id"])
    stages.webhook(other.pk)
    other.refresh_from_db()
    assert (other.attempts, other.due_at > timezone.now()) == (0, True)
    site.heal()
    holdings.hold_back(waiting, timezone.now() + timedelta(hours=1), f"{holdings.GATE_CLOSED} no key.")
    handle(row)
    site.organization.refresh_from_db()
    assert (row.state, site.organization.gate_closed_at) == ("handled", None)
    other.refresh_from_db()
    waiting.refresh_from_db()
    assert max(other.due_at, waiting.due_at) <= timezone.now()


def test_a_call_that_is_forbidden_while_the_key_works_delays_its_own_webhook_alone(site):
    site.issued()
    site.fault("403", method="GET", match={"path": "/events/"}, times=1)
    row = told(site, "badge.created")
    site.organization.refresh_from_db()
    assert (row.state, "forbids" in row.error, site.organization.gate_closed_at) == ("waiting", True, None)
    assert row.due_at > timezone.now() + timedelta(seconds=50)


def test_without_a_key_the_webhook_waits_and_no_call_is_made(site):
    site.issued()
    calls = len(site.emulator.requests())
    Organization.objects.update(api_key=None)
    row = posted(site, uuid4())
    handle(row)
    assert (row.state, row.attempts, "no API key" in row.error) == ("waiting", 0, True)
    assert len(site.emulator.requests()) == calls


def test_after_25_days_without_an_answer_the_webhook_is_given_up(site):
    site.issued()
    site.fault("500", method="GET")
    row = posted(site, happened(site, "badge.created")[-1]["id"])
    Webhook.objects.update(received_at=timezone.now() - timedelta(days=26))
    handle(row)
    assert (row.state, "HTTP 500" in row.outcome) == ("ignored", True)


def test_a_webhook_that_is_not_due_or_not_there_is_left_alone(site):
    row = posted(site, uuid4())
    Webhook.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    assert stages.webhook(row.pk) == Done()
    assert stages.webhook(row.pk + 1) == Done()
    assert site.calls("GET", "") == []
    assert not Signal.objects.exists()
