"""Organizations in the admin: keys are checked when they are entered, never shown, and templates are synced by a button."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from pipeline.configuration import organizations
from pipeline.ledgers import holdings
from pipeline.models import Badge, Organization, Template, Webhook
from tests.admin.pages import queries, queries_of
from tests.credly.emulated_credly import Academy, EmulatedCredly
from tests.ledgers import builders
from tests.stages.conftest import NOBODY_LISTENS, Site, call_credly_at

pytestmark = pytest.mark.django_db

ADD = reverse("admin:pipeline_organization_add")
LIST = reverse("admin:pipeline_organization_changelist")


def page(row: Organization) -> str:
    return reverse("admin:pipeline_organization_change", args=[row.pk])


def sync_url(row: Organization) -> str:
    return reverse("admin:pipeline_organization_sync", args=[row.pk])


def errors(response: HttpResponse) -> dict[str, list[str]]:
    """The errors of the form by field; the page has to be shown again, and not an error page."""
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def said(response: HttpResponse) -> str:
    return "\n".join(str(message) for message in get_messages(response.wsgi_request))


def configure(settings: Any, uuid: str, key: str) -> None:
    """Let `CREDLY_ORGANIZATIONS` have this key."""
    config = settings.BADGES_CONFIG
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | {"ORGANIZATIONS": {uuid: key}}}


@pytest.fixture
def academy(credly: EmulatedCredly) -> Academy:
    return credly.academy()


def test_an_organization_is_added_by_uuid_and_key_and_its_name_is_filled_in(operator: Client, academy: Academy):
    response = operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    row = Organization.objects.get()
    assert (response.status_code, response.url) == (302, page(row))
    assert (row.name, row.api_key) == ("Example Academy", academy.key)
    assert row.key_set_at is not None


def test_a_wrong_key_is_an_error_at_the_key_with_credlys_words(operator, academy, credly):
    wrong = "a-wrong-key-of-mine"
    response = operator.post(ADD, {"uuid": academy.organization, "key": wrong})
    [error] = errors(response)["key"]
    assert error.startswith("Credly refuses this key: ")
    assert len(error) > len("Credly refuses this key: ")
    assert wrong not in response.text
    assert not Organization.objects.exists()


def test_a_key_that_may_not_read_is_an_error_at_the_key(operator, academy, credly):
    credly.fault("403")
    assert "key" in errors(operator.post(ADD, {"uuid": academy.organization, "key": academy.key}))


def test_an_unknown_organization_is_an_error_at_the_uuid_with_credlys_words(operator, academy, credly):
    body = {"data": {"message": "Organization not found"}}
    credly.fault(status=404, body=body)
    response = operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    assert errors(response)["uuid"] == ["Credly knows no such organization: Organization not found"]


@pytest.mark.parametrize(
    ("entered", "field"),
    [
        ({"uuid": "no uuid", "key": "k"}, "uuid"),
        ({"uuid": "", "key": "k"}, "uuid"),
        ({"uuid": str(uuid4()), "key": ""}, "key"),
        ({"uuid": str(uuid4()), "key": "env:CREDLY_NOT_SET_ANYWHERE"}, "key"),
    ],
)
def test_what_is_wrong_by_itself_is_said_without_asking_credly(operator, credly, entered, field):
    assert list(errors(operator.post(ADD, entered))) == [field]
    assert credly.requests() == []


def test_an_organization_cannot_be_added_twice(operator, site: Site):
    response = operator.post(ADD, {"uuid": site.academy.organization, "key": site.academy.key})
    assert "already exists" in errors(response)["uuid"][0]
    assert site.calls("GET", "") == []


@pytest.mark.parametrize("preset", ["500", "502-html", "429", "reset-before", "cut-json"])
def test_when_credly_cannot_be_asked_the_form_offers_to_save_without_checking(operator, academy, credly, preset):
    entered = {"uuid": academy.organization, "key": academy.key}
    assert 'name="unchecked"' not in operator.get(ADD).text
    credly.fault(preset)
    response = operator.post(ADD, entered)
    [error] = errors(response)["__all__"]
    assert error.startswith("The key could not be checked. ")
    assert 'name="unchecked"' in response.text
    assert academy.key not in response.text
    assert operator.post(ADD, entered | {"unchecked": "on"}).status_code == 302
    assert Organization.objects.get().api_key == academy.key


def test_a_credly_that_is_away_is_a_form_error_too(operator, academy, settings):
    call_credly_at(NOBODY_LISTENS, settings)
    response = operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    assert "no connection" in errors(response)["__all__"][0]


def test_a_wrong_key_is_not_offered_to_be_saved_unchecked(operator, academy):
    response = operator.post(ADD, {"uuid": academy.organization, "key": "wrong"})
    assert 'name="unchecked"' not in response.text


def test_a_variable_that_only_other_processes_have_can_be_saved_without_checking(operator, academy):
    entered = {"uuid": academy.organization, "key": "env:CREDLY_NOT_SET_ANYWHERE"}
    response = operator.post(ADD, entered)
    assert "CREDLY_NOT_SET_ANYWHERE" in errors(response)["key"][0]
    assert 'name="unchecked"' in response.text
    assert operator.post(ADD, entered | {"unchecked": "on"}).status_code == 302
    row = Organization.objects.get()
    assert row.api_key == "env:CREDLY_NOT_SET_ANYWHERE"
    assert "from the environment variable CREDLY_NOT_SET_ANYWHERE" in operator.get(page(row)).text


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "CREDLY_ORGANIZATIONS", "CREDLY_WEBHOOK_SECRET", "CREDLY_key", "XCREDLY_A", "NOT_SET", ""]
)
@pytest.mark.parametrize("more", [{}, {"unchecked": "on"}])
def test_no_other_variable_of_the_environment_is_looked_at_or_sent_to_credly(
    operator, site: Site, monkeypatch, name, more
):
    if name != "NOT_SET":
        monkeypatch.setenv(name or "X", "a-secret")
    before = site.organization.api_key
    added = operator.post(ADD, {"uuid": str(uuid4()), "key": f"env:{name}"} | more)
    changed = operator.post(page(site.organization), {"name": "Academy", "key": f"env:{name}"} | more)
    said = errors(added)
    assert list(said) == list(errors(changed)) == ["key"]
    assert said == errors(changed)
    assert said["key"][0].startswith("Only environment variables for keys")
    assert site.calls("GET", "") == []
    assert Organization.objects.get().api_key == before


def test_a_key_in_a_variable_for_keys_is_used(operator, academy, monkeypatch):
    monkeypatch.setenv("CREDLY_API_KEY_2", academy.key)
    assert operator.post(ADD, {"uuid": academy.organization, "key": "env:CREDLY_API_KEY_2"}).status_code == 302
    assert Organization.objects.get().api_key == "env:CREDLY_API_KEY_2"


@pytest.mark.parametrize("written", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_an_organization_is_found_by_its_uuid_in_any_form(viewer, site: Site, written: str):
    response = viewer.get(LIST, {"q": written.format(site.organization.uuid)})
    assert [row.pk for row in response.context["cl"].result_list] == [site.organization.pk]


def test_no_page_shows_a_key(administrator, site):
    for url in (page(site.organization), LIST, reverse("admin:pipeline_organization_history", args=[1])):
        assert site.academy.key not in administrator.get(url, follow=True).text


def test_an_empty_key_keeps_the_stored_one_and_what_the_pipeline_wrote_meanwhile(operator, site):
    refused = timezone.now()
    Organization.objects.update(gate_reason="key refused", gate_closed_at=refused, key_fingerprint="other")
    response = operator.post(page(site.organization), {"name": "New name", "key": ""})
    assert response.status_code == 302
    row = Organization.objects.get()
    assert (row.name, row.api_key) == ("New name", site.academy.key)
    assert site.calls("GET", "") == []


def test_a_stored_key_that_cannot_be_decrypted_is_not_encrypted_once_more(operator, site):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pipeline_organization SET api_key = %s", ["gAAAAAforeign"])
    operator.post(page(site.organization), {"name": "New name", "key": ""})
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, api_key FROM pipeline_organization")
        assert cursor.fetchone() == ("New name", "gAAAAAforeign")


def test_a_new_key_is_checked_logged_without_its_value_and_reopens_the_gate(operator, site):
    another = "another-key"
    waiting = site.badge(due_at=timezone.now() + timedelta(hours=1), error=holdings.GATE_CLOSED)
    Organization.objects.update(gate_reason="key refused", gate_closed_at=timezone.now())
    response = operator.post(page(site.organization), {"name": "Academy", "key": another})
    assert "Credly refuses this key" in errors(response)["key"][0]
    site.emulator.control("POST", "tokens", {"organization": site.academy.organization, "token": another})
    assert operator.post(page(site.organization), {"name": "Academy", "key": another}).status_code == 302
    row = Organization.objects.get()
    assert (row.api_key, row.gate_closed_at) == (another, None)
    assert Badge.objects.get(pk=waiting.pk).due_at <= timezone.now()
    entry = LogEntry.objects.get()
    assert "API key" in entry.get_change_message()
    assert another not in entry.change_message


def test_the_same_key_entered_again_reopens_the_gate_once_credly_takes_it(operator, site):
    operator.post(page(site.organization), {"name": "Academy", "key": site.academy.key})
    waiting = site.badge(due_at=timezone.now() + timedelta(hours=1), error=holdings.GATE_CLOSED)
    Organization.objects.update(gate_reason="key refused", gate_closed_at=timezone.now(), failures=3)
    assert operator.post(page(site.organization), {"name": "Academy", "key": site.academy.key}).status_code == 302
    row = Organization.objects.get()
    assert (row.gate_closed_at, row.gate_reason, row.failures) == (None, "", 0)
    assert Badge.objects.get(pk=waiting.pk).due_at <= timezone.now()


def test_a_key_saved_unchecked_says_nothing_of_the_gate(operator, site, credly):
    operator.post(page(site.organization), {"name": "Academy", "key": site.academy.key})
    since = timezone.now()
    Organization.objects.update(gate_reason="key refused", gate_closed_at=since)
    entered = {"name": "Academy", "key": site.academy.key, "unchecked": "on"}
    assert operator.post(page(site.organization), entered).status_code == 302
    assert Organization.objects.get().gate_closed_at == since


def test_no_call_to_credly_is_made_inside_a_transaction(operator, academy, monkeypatch):
    """pytest-django's own transaction is the one that is open outside any of the view's."""
    outside = len(connection.savepoint_ids)
    depths = []
    ask = organizations.api_base_url

    def noted() -> str:
        depths.append(len(connection.savepoint_ids))
        return ask()

    monkeypatch.setattr(organizations, "api_base_url", noted)
    operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    operator.post(sync_url(Organization.objects.get()))
    assert depths == [outside, outside]


def test_a_key_of_the_environment_is_shown_as_such_and_cannot_be_set(operator, site, settings):
    configure(settings, site.academy.organization, "of-the-environment")
    text = operator.get(page(site.organization)).text
    assert "from the environment" in text
    assert 'name="key"' not in text
    assert "of-the-environment" not in text
    operator.post(page(site.organization), {"name": "Academy", "key": "smuggled"})
    assert Organization.objects.get().api_key == site.academy.key


def test_an_organization_whose_key_the_environment_has_is_added_without_one(operator, academy, settings):
    configure(settings, academy.organization, academy.key)
    response = operator.post(ADD, {"uuid": academy.organization, "key": "another"})
    assert "leave this empty" in errors(response)["key"][0]
    assert operator.post(ADD, {"uuid": academy.organization, "key": ""}).status_code == 302
    row = Organization.objects.get()
    assert (row.name, row.api_key or "") == ("Example Academy", "")


def test_the_uuid_of_an_organization_cannot_be_changed(operator, site):
    operator.post(page(site.organization), {"name": "Academy", "uuid": str(uuid4()), "key": ""})
    assert str(Organization.objects.get().uuid) == site.academy.organization


def test_the_button_syncs_at_once_and_says_what_changed(operator, academy):
    operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    row = Organization.objects.get()
    response = operator.post(sync_url(row))
    assert (response.status_code, response.url) == (302, page(row))
    assert "Example Academy: 1 added, 0 changed, 0 withdrawn, 0 unchanged." in said(response)
    assert str(Template.objects.get().uuid) in said(response)
    assert "1 added" in LogEntry.objects.first().change_message
    row.refresh_from_db()
    assert row.key_expires_at is not None


def test_a_sync_that_fails_says_why_and_the_page_goes_on_saying_it(operator, site):
    site.fault("502-html", method="GET")
    assert "The templates were not synced. Credly gave no usable answer: HTTP 502" in said(
        operator.post(sync_url(site.organization))
    )
    assert "HTTP 502" in operator.get(page(site.organization)).text
    assert "HTTP 502" in operator.get(LIST).text


def test_templates_that_allow_duplicates_are_named_in_a_warning(operator, credly):
    academy = credly.academy({"allow_duplicate_badges": True})
    operator.post(ADD, {"uuid": academy.organization, "key": academy.key})
    assert "allow duplicates at Credly" in said(operator.post(sync_url(Organization.objects.get())))
    operator.get(page(Organization.objects.get()))
    Template.objects.update(per="course.course_key")
    assert "uplicates" not in said(operator.post(sync_url(Organization.objects.get())))


def test_templates_with_a_badge_per_value_that_credly_allows_once_are_named_in_a_warning(operator, site):
    Template.objects.update(per="course.course_key")
    said_then = said(operator.post(sync_url(site.organization)))
    assert (
        "one badge per value here, and Credly allows a learner one in all: Intro Course. Allow duplicates" in said_then
    )


def test_the_list_syncs_one_organization_at_once(operator, site):
    response = operator.post(LIST, {"action": "sync_templates", "_selected_action": [site.organization.pk]})
    assert "0 added, 1 changed, 0 withdrawn" in said(response)


def test_the_list_syncs_several_in_the_background(operator, site, django_capture_on_commit_callbacks):
    other = builders.organization()
    with django_capture_on_commit_callbacks() as callbacks:
        chosen = [site.organization.pk, other.pk]
        response = operator.post(LIST, {"action": "sync_templates", "_selected_action": chosen})
    assert len(callbacks) == 1
    assert "2 organizations are being synced in the background" in said(response)
    assert site.calls("GET", "") == []


def test_a_sync_is_never_started_by_a_link(operator, site):
    assert operator.get(sync_url(site.organization)).status_code == 405
    assert operator.post(reverse("admin:pipeline_organization_sync", args=[0])).status_code == 404


def test_viewers_see_no_key_and_no_address_and_can_change_nothing(viewer, site, settings):
    settings.CREDLY_WEBHOOK_SECRET = "the-secret"
    text = viewer.get(page(site.organization)).text
    assert "stored, encrypted" in text
    assert 'name="key"' not in text
    assert site.academy.key not in text
    assert "the-secret" not in text
    assert viewer.post(page(site.organization), {"name": "X", "key": "k"}).status_code == 403
    assert viewer.post(ADD, {"uuid": str(uuid4()), "key": "k"}).status_code == 403
    assert viewer.post(sync_url(site.organization)).status_code == 403
    assert site.calls("GET", "") == []


@pytest.mark.parametrize(("secret", "path"), [("", "webhook/"), ("the-secret", "webhook/the-secret/")])
def test_the_address_to_enter_at_credly_is_shown(operator, site, settings, secret, path):
    settings.CREDLY_WEBHOOK_SECRET = secret
    assert f'value="http://testserver/badges/credly/{path}"' in operator.get(page(site.organization)).text


@pytest.mark.parametrize(
    ("days", "shown"), [(100, ""), (12, "in 12 days"), (1, "in 1 day"), (-3, "expired on")], ids=str
)
def test_list_and_page_warn_of_keys_that_expire(operator, site, days, shown):
    expires = timezone.now() + timedelta(days=days, hours=1)
    Organization.objects.update(key_set_at=timezone.now(), key_expires_at=expires)
    for url in (LIST, page(site.organization)):
        text = operator.get(url).text
        assert date_format(expires) in text
        assert shown in text
        assert ("in 100 days" in text, "expired on" in text) == (False, shown == "expired on")


def test_the_list_needs_as_many_queries_for_many_organizations_as_for_one(operator, site):
    for_one = queries(operator, Organization)
    for _ in range(5):
        builders.template(builders.organization())
    assert queries(operator, Organization) == for_one


@pytest.mark.parametrize("field", ["api_key", "key_fingerprint"])
@pytest.mark.parametrize("lookup", ["", "__startswith", "__regex", "__isnull"])
def test_nobody_reads_a_key_letter_by_letter_from_a_filtered_list(administrator, viewer, site, field, lookup):
    builders.badge(template=site.template)
    value = "1" if lookup == "__isnull" else "g"
    pages = {"organization": "", "template": "organization__", "badge": "template__organization__"}
    for who in (administrator, viewer):
        for model, path in pages.items():
            url = reverse(f"admin:pipeline_{model}_changelist")
            assert who.get(f"{url}?{path}{field}{lookup}={value}").status_code == 400
        assert who.get(f"{LIST}?name__startswith=A").status_code == 200


def test_an_organization_with_templates_is_not_deleted_and_the_page_says_why(administrator, site):
    url = reverse("admin:pipeline_organization_delete", args=[site.organization.pk])
    assert "it has badge templates here" in administrator.get(url).content.decode()
    administrator.post(url, {"post": "yes"})
    assert Organization.objects.exists()


def test_an_organization_without_templates_is_deleted_with_its_webhooks_which_are_only_counted(administrator):
    row = builders.organization()
    url = reverse("admin:pipeline_organization_delete", args=[row.pk])

    def add(number: int) -> None:
        Webhook.objects.bulk_create(
            Webhook(organization=row, event=uuid4(), event_type="badge.created") for _ in range(number)
        )

    add(1)
    for_one = queries_of(administrator, url)
    add(300)
    assert queries_of(administrator, url) == for_one
    page_to_confirm = administrator.get(url)
    assert ("webhooks", 301) in list(page_to_confirm.context["model_count"])
    assert str(Webhook.objects.first()) not in page_to_confirm.content.decode()
    assert administrator.post(url, {"post": "yes"}).status_code == 302
    assert (Organization.objects.count(), Webhook.objects.count()) == (0, 0)


def test_organizations_deleted_from_the_list_go_together_unless_one_has_templates(administrator, site):
    other = builders.organization()
    chosen = {"action": "delete_selected", "post": "yes", "_selected_action": [site.organization.pk, other.pk]}
    administrator.post(LIST, chosen)
    assert Organization.objects.count() == 2
    administrator.post(LIST, chosen | {"_selected_action": [other.pk]})
    assert list(Organization.objects.all()) == [site.organization]
