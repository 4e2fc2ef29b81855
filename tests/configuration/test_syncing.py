"""Template sync against the emulated Credly: what arrives here, what is withdrawn, and what a failure leaves."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from pipeline import stages
from pipeline.configuration import syncing
from pipeline.configuration.syncing import SyncResult, sync, take_over, withdraw
from pipeline.credly.records import TemplateInfo
from pipeline.ledgers import holdings
from pipeline.models import ConfigurationVersion, Fulfillment, Organization, Template, TemplateState
from tests.credly.emulated_credly import Academy, EmulatedCredly
from tests.ledgers import builders
from tests.stages.conftest import NOBODY_LISTENS, Site, call_credly_at, make_site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def credly(emulator: EmulatedCredly, settings: Any) -> EmulatedCredly:
    call_credly_at(f"{emulator.api}/", settings)
    return emulator


@pytest.fixture
def academy(credly: EmulatedCredly) -> Academy:
    """An organization at Credly with one template, of which nothing is known here."""
    return credly.academy({"description": "The basics.", "image_url": "https://images.credly.example/a.png"})


@pytest.fixture
def organization(academy: Academy) -> Organization:
    return builders.organization(uuid=UUID(academy.organization), api_key=academy.key, name="")


@pytest.fixture
def site(credly: EmulatedCredly) -> Site:
    return make_site(credly)


def synced(row: Organization, **options: Any) -> SyncResult:
    row.refresh_from_db()
    result = sync(row, **options)
    row.refresh_from_db()
    return result


def counts(result: SyncResult) -> tuple[int, int, int, int]:
    return len(result.added), len(result.changed), len(result.withdrawn), result.unchanged


def info(**fields: Any) -> TemplateInfo:
    given = TemplateInfo(uuid4(), "Intro Course", "The basics.", "active", "https://i.example/a.png", None, False)
    return replace(given, **fields)


def test_a_new_template_arrives_inactive_with_what_credly_says(organization, academy):
    result = synced(organization)
    row = Template.objects.get()
    assert counts(result) == (1, 0, 0, 0)
    assert str(result.added[0]) == f'+ template "Intro Course" ({row.uuid}): not active until somebody activates it'
    assert (str(row.uuid), row.organization, row.active, row.state) == (
        academy.template,
        organization,
        False,
        TemplateState.ACTIVE,
    )
    assert (row.description, row.image_url) == ("The basics.", "https://images.credly.example/a.png")
    assert row.synced_at is not None
    assert (organization.name, organization.sync_error) == ("Example Academy", "")
    assert organization.synced_at is not None


def test_a_second_sync_changes_nothing_and_has_no_worker_compile_anew(organization):
    synced(organization)
    stamp = ConfigurationVersion.current()
    first = Template.objects.get().synced_at
    assert counts(synced(organization)) == (0, 0, 0, 1)
    assert ConfigurationVersion.current() == stamp
    assert Template.objects.get().synced_at > first


def test_all_pages_are_read_and_each_is_told(organization, academy, credly):
    for number in range(60):
        credly.control("POST", "templates", {"organization": academy.organization, "name": f"Course {number}"})
    told = []
    result = synced(organization, progress=lambda done, total: told.append((done, total)))
    assert len(result.added) == Template.objects.count() == 61
    assert told == [(1, 2), (2, 2)]


def test_a_change_at_credly_is_told_and_leaves_the_switches_here_alone(site):
    Template.objects.update(name="Old name")
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert (site.template.name, site.template.active, site.template.reaward) == ("Intro Course", True, True)
    assert 'name "Old name" -> "Intro Course"' in str(result.changed[0])


@pytest.mark.parametrize("state", ["archived", "draft"])
def test_a_template_no_longer_active_at_credly_is_switched_off_with_all_its_progress_kept(site, state):
    badge = site.issued()
    builders.deliver(builders.passes(builders.lms_learner(), 1))
    progress = list(Fulfillment.objects.values_list("pk", "fulfilled"))
    assert progress
    site.emulator.control("POST", f"templates/{site.academy.template}/state", {"state": state})
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert counts(result) == (0, 0, 1, 0)
    assert str(result.withdrawn[0]) == (
        f'~ template "Intro Course" ({site.template.uuid}): state active -> {state}, active true -> false '
        f"(Credly calls it {state})"
    )
    assert (site.template.active, site.template.state) == (False, state)
    assert site.template.requirements.count() == 1
    assert list(Fulfillment.objects.values_list("pk", "fulfilled")) == progress
    badge.refresh_from_db()
    assert badge.credly_state == "pending"
    assert counts(synced(site.organization)) == (0, 0, 0, 0)


def test_a_template_deleted_at_credly_is_withdrawn_and_kept(site, monkeypatch):
    monkeypatch.setattr(syncing, "SHOWN_WITHIN", 0.0)
    site.emulator.control("DELETE", f"templates/{site.academy.template}")
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert "Credly does not know it any more" in str(result.withdrawn[0])
    assert (site.template.active, site.template.state) == (False, TemplateState.ARCHIVED)


def not_shown(site: Site, times: int | None) -> None:
    """A stale view: Credly neither lists the template nor knows it, so many times (None: always)."""
    empty = {"data": [], "metadata": {"total_pages": 1}}
    site.fault(method="GET", match={"path": "badge_templates$"}, status=200, body=json.dumps(empty))
    not_found = {"data": {"message": "Template not found"}}
    site.fault(method="GET", match={"path": "/badge_templates/"}, status=404, body=not_found, times=times)


def test_a_template_that_credly_shows_at_the_second_look_stays_active(site, monkeypatch):
    monkeypatch.setattr(syncing, "SHOWN_WITHIN", 0.0)
    not_shown(site, 1)
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert (len(result.withdrawn), result.failure, site.template.active) == (0, "", True)
    assert len(site.calls("GET", "/badge_templates/")) == 2


def test_without_time_for_a_second_look_nothing_is_withdrawn_and_the_sync_says_so(site):
    not_shown(site, None)
    result = synced(site.organization, seconds=20)
    site.template.refresh_from_db()
    assert (result.too_slow, len(result.withdrawn), site.template.active) == (True, 0, True)
    assert result.failure == "Credly does not know 1 of the templates: to be looked for once more later."


def test_a_template_that_the_list_skipped_is_looked_up_and_stays_active(site):
    empty = {"data": [], "metadata": {"total_pages": 1}}
    site.fault(method="GET", match={"path": "badge_templates$"}, status=200, body=json.dumps(empty))
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert (counts(result), result.failure) == ((0, 1, 0, 0), "")
    assert (site.template.active, site.template.state) == (True, TemplateState.ACTIVE)


def test_a_template_active_again_at_credly_stays_switched_off_here(site):
    withdraw(site.template, TemplateState.ARCHIVED, "for the test")
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert len(result.changed) == 1
    assert (site.template.active, site.template.state) == (False, TemplateState.ACTIVE)


def test_a_template_that_allows_duplicates_is_flagged(credly, settings):
    site = make_site(credly, allow_duplicate_badges=True)
    result = synced(site.organization)
    site.template.refresh_from_db()
    assert (result.flagged, result.only_once) == (["Intro Course"], [])
    assert site.template.allows_duplicates


@pytest.mark.parametrize(("allows", "only_once"), [(True, []), (False, ["Intro Course"])])
def test_a_template_with_a_badge_per_value_is_named_if_it_does_not_allow_duplicates(credly, allows, only_once):
    site = make_site(credly, allow_duplicate_badges=allows)
    Template.objects.update(per="course.course_key")
    result = synced(site.organization)
    assert (result.flagged, result.only_once) == ([], only_once)


def test_a_template_granted_by_another_organization_here_stays_with_that(site, credly):
    guest = make_site(credly)
    shared = str(uuid4())
    credly.control(
        "POST",
        "templates",
        {
            "organization": site.academy.organization,
            "name": "Shared",
            "id": shared,
            "granted_to": [guest.academy.organization],
        },
    )
    assert len(synced(site.organization).added) == 1
    assert len(synced(guest.organization).added) == 0
    assert Template.objects.get(uuid=shared).organization == site.organization


def test_withdrawing_twice_says_once_that_something_changed(site):
    assert withdraw(site.template, TemplateState.ARCHIVED, "gone") is not None
    assert withdraw(site.template, TemplateState.ARCHIVED, "gone") is None


def test_taking_over_a_template_that_is_not_active_switches_it_off(site):
    change = take_over(site.organization, info(id=site.template.uuid, state="archived"))
    site.template.refresh_from_db()
    assert change is not None
    assert (site.template.active, site.template.state) == (False, TemplateState.ARCHIVED)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "no url", "https://i.example/" + "a" * 1000])
def test_what_the_tables_cannot_hold_is_cut_or_left_out(organization, url):
    given = info(name="n" * 300, image_url=url, state="frozen")
    assert take_over(organization, given) is not None
    row = Template.objects.get()
    row.full_clean()
    assert (row.name, row.image_url, row.state) == ("n" * 255, "", TemplateState.ARCHIVED)
    assert take_over(organization, given) is None


def test_a_failing_credly_changes_nothing_and_the_reason_is_kept_until_a_sync_succeeds(site):
    Template.objects.update(name="Old name")
    synced_before = timezone.now() - timedelta(days=1)
    Organization.objects.update(synced_at=synced_before)
    site.fault("502-html", method="GET", times=1)
    result = synced(site.organization)
    assert result.failure == site.organization.sync_error == "Credly gave no usable answer: HTTP 502"
    assert site.organization.synced_at == synced_before
    assert Template.objects.get().name == "Old name"
    assert synced(site.organization).failure == site.organization.sync_error == ""


def test_a_failure_on_a_later_page_changes_nothing(organization, academy, credly):
    for number in range(60):
        credly.control("POST", "templates", {"organization": academy.organization, "name": f"Course {number}"})
    assert synced(organization, progress=lambda done, total: credly.fault("500")).failure
    assert not Template.objects.exists()


def test_a_template_is_never_withdrawn_because_credly_could_not_be_asked(site):
    site.emulator.control("DELETE", f"templates/{site.academy.template}")
    site.fault("500", method="GET", match={"path": f"{site.academy.template}$"})
    assert synced(site.organization).failure
    site.template.refresh_from_db()
    assert site.template.active


def test_a_credly_that_does_not_answer_is_a_failure(organization, settings):
    call_credly_at(NOBODY_LISTENS, settings)
    assert "no connection" in synced(organization).failure


def test_without_time_the_sync_gives_up_between_two_calls(organization, academy, credly):
    for number in range(60):
        credly.control("POST", "templates", {"organization": academy.organization, "name": f"Course {number}"})
    result = synced(organization, seconds=0)
    assert result.too_slow
    assert result.failure == "Credly took longer than 0 seconds."
    assert len(credly.requests(path="badge_templates$")) == 1


def test_without_time_a_list_that_does_not_say_how_long_it_is_ends_too(site):
    body = {"data": [{"id": str(uuid4()), "name": "One more", "state": "active"}]}
    site.fault(method="GET", match={"path": "badge_templates$"}, status=200, body=body)
    assert synced(site.organization, seconds=0).too_slow


def test_a_refused_key_closes_the_gate_and_credly_is_left_alone(site):
    site.fault("401", method="GET")
    assert "refuses the organization's key" in synced(site.organization).failure
    assert site.organization.gate_closed_at is not None
    before = len(site.calls("GET", ""))
    assert "To be tried again" in synced(site.organization).failure
    assert len(site.calls("GET", "")) == before


def test_a_call_that_is_forbidden_while_the_key_works_leaves_the_gate_open(site):
    site.fault("403", method="GET", match={"path": "badge_templates$"})
    assert synced(site.organization).failure
    assert site.organization.gate_closed_at is None


def test_without_a_key_the_reason_says_where_one_can_be_set():
    row = builders.organization(api_key=None)
    assert "has no API key" in synced(row).failure
    assert row.gate_closed_at is None


def test_a_sync_that_finds_the_key_working_again_makes_waiting_badges_due(site):
    row = site.badge()
    stages.sync(site.organization.pk)  # notes the key in use
    holdings.hold_back(row, timezone.now() + timedelta(hours=1), holdings.GATE_CLOSED)
    Organization.objects.update(gate_reason="key refused", gate_closed_at=timezone.now(), call_again_at=None)
    stages.sync(site.organization.pk)
    row.refresh_from_db()
    site.organization.refresh_from_db()
    assert site.organization.gate_closed_at is None
    assert row.due_at <= timezone.now()


def test_a_sync_notices_another_key_and_tries_it_at_once(site):
    stages.sync(site.organization.pk)
    row = site.badge(due_at=timezone.now() + timedelta(hours=1), error=holdings.GATE_CLOSED)
    later = timezone.now() + timedelta(hours=1)
    site.emulator.control("POST", "tokens", {"organization": site.academy.organization, "token": "another"})
    Organization.objects.update(
        gate_reason="key refused", gate_closed_at=timezone.now(), call_again_at=later, api_key="another"
    )
    assert stages.sync(site.organization.pk).failure == ""
    row.refresh_from_db()
    assert row.due_at <= timezone.now()


def test_organizations_that_only_the_settings_name_are_synced_too(academy, settings):
    config = settings.BADGES_CONFIG
    credly = config["credly"] | {"ORGANIZATIONS": {academy.organization: academy.key}}
    settings.BADGES_CONFIG = config | {"credly": credly}
    [pk] = stages.organizations_to_sync()
    assert stages.organizations_to_sync() == [pk]
    assert len(stages.sync(pk).added) == 1
    assert Organization.objects.get().name == "Example Academy"


def test_a_sync_of_an_organization_that_is_gone_does_nothing(site):
    assert stages.sync(0).failure == "There is no such organization any more."


def test_the_log_says_once_that_a_template_was_switched_off(site, caplog):
    for _ in range(2):
        withdraw(site.template, TemplateState.ARCHIVED, "for the test")
    [line] = [record.getMessage() for record in caplog.records if record.name == "pipeline.configuration.syncing"]
    assert line.startswith(f"Template {site.template.uuid} is deactivated, for it is archived at Credly")
