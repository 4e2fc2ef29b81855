"""Who may see and change what: every page of every admin class of the registry, so that later pages are covered too."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.forms import PasswordInput
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from pipeline.models import (
    Badge,
    Discrepancy,
    Event,
    Gap,
    Learner,
    Organization,
    Penalty,
    Progress,
    Requirement,
    Signal,
    Template,
    Webhook,
)
from tests.ledgers.builders import badge, deliver, held_badge, lms_learner, passes, received
from tests.staff import client_of
from tests.stages.conftest import Site

CONFIGURATION = (Organization, Template, Requirement, Penalty)
LEDGERS = (Learner, Progress, Badge, Event, Signal, Webhook, Discrepancy, Gap)
OURS = (*CONFIGURATION, *LEDGERS)
STAFF = (User, Group)

every_model = pytest.mark.parametrize("model", [*OURS, *STAFF], ids=lambda model: model._meta.model_name)
every_model_of_ours = pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.model_name)

CONFIRMATION = {"post": "yes", "confirm": "on", "reason": "because", "index": "0"}
"""What a confirmed form sends, of whatever page."""


@pytest.fixture
def rows(site: Site) -> dict[type[Model], Model]:
    """One row of every model that has pages; of users a superuser.  Beside them some that actions would change."""
    User.objects.create_user("owner", is_staff=True, is_superuser=True)
    deliver(passes(lms_learner(), 1))
    held = held_badge(template=site.template)
    Gap.objects.create(topic="badges", group="ours", after="1-0", before="9-0", messages=8)
    Discrepancy.objects.create(
        organization=site.organization,
        kind="different",
        badge=held,
        template=site.template,
        credly_id=held.credly_id,
        found_at=timezone.now(),
    )
    badge(template=site.template, credly_state="failed", due_at=None)
    Event.objects.filter(pk__in=received(passes(lms_learner(), 2))).update(status="failed")
    Signal.objects.update(state="failed", due_at=None)
    Webhook.objects.create(organization=site.organization, event=uuid4(), event_type="badge.state.changed")
    return {model: model._default_manager.order_by("pk")[0] for model in admin.site._registry}


def list_path(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def paths(row: Model) -> Iterator[str]:
    """All addresses under a model's pages, those of this row where one is about a row."""
    for url in admin.site._registry[type(row)].get_urls():
        yield list_path(type(row)) + re.sub(r"<[^>]+>", quote(str(row.pk)), str(url.pattern))


def path(row: Model, verb: str) -> str:
    arguments = [] if verb == "add" else [quote(str(row.pk))]
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}", args=arguments)


def actions(model: type[Model], client: Client) -> set[str]:
    """The actions that the list of a model offers to a member of staff."""
    request = RequestFactory().get(list_path(model))
    request.user = User.objects.get(pk=client.session["_auth_user_id"])
    return set(admin.site._registry[model].get_actions(request))


def try_everything(client: Client, row: Model, offered: set[str]) -> Iterator[HttpResponse]:
    """Get and post every address of the row's model, and run every action on all its rows."""
    selected = [str(pk) for pk in type(row)._default_manager.values_list("pk", flat=True)]
    for address in paths(row):
        yield client.get(address)
        yield client.post(address, CONFIRMATION)
    for action in sorted(offered):
        yield client.post(list_path(type(row)), CONFIRMATION | {"action": action, "_selected_action": selected})


def everything() -> dict[str, list[dict[str, Any]]]:
    """The whole database but sessions."""
    models = [model for model in apps.get_models(include_auto_created=True) if model is not Session]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


def test_every_model_with_pages_is_in_the_matrix():
    assert set(admin.site._registry) == {*OURS, *STAFF}


@every_model
def test_who_is_not_logged_in_gets_the_login_page_for_every_address(rows, model, administrator):
    before = everything()
    for answer in try_everything(Client(), rows[model], actions(model, administrator)):
        if answer.status_code != 405:
            assert answer.status_code == 302
            assert answer.url.startswith(reverse("admin:login"))
    assert everything() == before


@every_model
def test_staff_without_a_group_see_and_change_nothing(rows, model, administrator):
    nobody = client_of("nobody")
    before = everything()
    for answer in try_everything(nobody, rows[model], actions(model, administrator)):
        assert answer.status_code in (302, 403, 404, 405), answer.request["PATH_INFO"]
        assert answer.status_code != 302 or answer.url.startswith("/admin/")
    assert everything() == before


def test_staff_without_a_group_see_no_number_on_the_first_page_nor_the_status_page(site):
    nobody = client_of("nobody")
    first = nobody.get(reverse("admin:index"))
    assert "permission to see anything" in first.text
    assert not re.search(r'href="/admin/(pipeline|auth)/', first.text)
    assert nobody.get(reverse("status")).status_code == 403


@every_model_of_ours
def test_viewers_see_every_page(rows, model, viewer):
    for address in (list_path(model), path(rows[model], "change"), path(rows[model], "history")):
        assert viewer.get(address).status_code == 200


@every_model_of_ours
def test_viewers_change_nothing_whatever_they_send(rows, model, viewer, administrator):
    before = everything()
    for answer in try_everything(viewer, rows[model], actions(model, administrator)):
        assert answer.status_code < 500, answer.request["PATH_INFO"]
    assert everything() == before
    for verb in ("add", "delete"):
        assert viewer.get(path(rows[model], verb)).status_code == 403


@pytest.mark.parametrize("model", [Penalty, Badge, Event, Signal], ids=lambda model: model._meta.model_name)
def test_what_viewers_send_in_vain_does_change_something_when_an_administrator_sends_it(rows, model, administrator):
    """Else the tests above could not fail."""
    before = everything()
    for _ in try_everything(administrator, rows[model], actions(model, administrator)):
        pass
    assert everything() != before


@pytest.mark.parametrize("model", CONFIGURATION, ids=lambda model: model._meta.model_name)
def test_operators_may_write_the_configuration(rows, model, operator):
    assert operator.get(path(rows[model], "add")).status_code == 200
    answer = operator.get(path(rows[model], "change"))
    assert answer.status_code == 200
    assert answer.context["has_change_permission"]
    assert operator.get(path(rows[model], "delete")).status_code == 200


def test_operators_delete_what_they_may(rows, operator):
    assert operator.post(path(rows[Penalty], "delete"), {"post": "yes"}).status_code == 302
    assert not Penalty.objects.exists()


@pytest.mark.parametrize("model", LEDGERS, ids=lambda model: model._meta.model_name)
def test_nobody_writes_ledgers_by_hand(rows, model, operator, administrator):
    for client in (operator, administrator):
        assert client.get(path(rows[model], "add")).status_code == 403
        assert client.post(path(rows[model], "change"), CONFIRMATION).status_code == 403
        assert client.post(path(rows[model], "delete"), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=rows[model].pk).exists()


@every_model_of_ours
def test_operators_are_offered_every_action(model, operator, administrator):
    assert actions(model, operator) == actions(model, administrator)


@every_model_of_ours
def test_viewers_and_staff_without_a_group_are_offered_no_action(db, model, viewer):
    assert actions(model, viewer) == set()
    assert actions(model, client_of("nobody")) == set()


@every_model_of_ours
def test_no_address_fails_for_an_operator_or_refuses_what_their_pages_offer(rows, model, operator):
    written_by_hand = {path(rows[model], verb) for verb in ("add", "change", "delete")}
    for address in paths(rows[model]):
        if address not in written_by_hand:
            for answer in (operator.get(address), operator.post(address, CONFIRMATION)):
                assert answer.status_code != 403, address
                assert answer.status_code < 500, address


@pytest.mark.parametrize("model", STAFF, ids=lambda model: model._meta.model_name)
def test_operators_and_viewers_have_nothing_to_do_with_staff_accounts(rows, model, operator, viewer, administrator):
    before = everything()
    for client in (operator, viewer):
        for answer in try_everything(client, rows[model], actions(model, administrator)):
            assert answer.status_code in (302, 403), answer.request["PATH_INFO"]
    assert everything() == before


@pytest.mark.parametrize("model", STAFF, ids=lambda model: model._meta.model_name)
def test_django_s_permissions_over_accounts_make_nobody_a_superuser(rows, model, administrator):
    clerk = client_of("clerk")
    user = User.objects.get(username="clerk")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    for row in (user, rows[model]):
        before = everything()
        for answer in try_everything(clerk, row, actions(type(row), administrator)):
            assert answer.status_code < 500
        assert everything() == before
        assert clerk.get(path(row, "change")).status_code == 200


@pytest.fixture
def keys(rows, settings, monkeypatch) -> list[bytes]:
    """Keys in all three places where one can be: stored, in the setting, in a variable; and the stored one encrypted."""
    stored = rows[Organization]
    from_settings = Organization.objects.create(uuid=uuid4(), name="Of the settings")
    Organization.objects.create(uuid=uuid4(), name="Of a variable", api_key="env:KEY_OF_THE_TEST")
    monkeypatch.setenv("KEY_OF_THE_TEST", "secret-of-the-variable")
    config = settings.BADGES_CONFIG
    of_settings = {"ORGANIZATIONS": {str(from_settings.uuid): "secret-of-the-settings"}}
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | of_settings}
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM pipeline_organization WHERE id = %s", [stored.pk])
        [encrypted] = cursor.fetchone()
    assert stored.api_key not in encrypted
    return [stored.api_key.encode(), encrypted.encode(), b"secret-of-the-variable", b"secret-of-the-settings"]


@every_model
def test_no_page_shows_a_key_to_anybody(rows, keys, model, administrator, operator):
    shown = rows[model]
    for row in Organization.objects.all() if model is Organization else [shown]:
        for client in (operator, administrator):
            for address in paths(row):
                for answer in (client.get(address), client.post(address, {})):
                    content = answer.content + str(answer.headers).encode()
                    assert not [key for key in keys if key in content], address


@pytest.mark.parametrize("name", ["admin:index", "status"])
def test_no_overview_shows_a_key(keys, name, administrator):
    Organization.objects.update(sync_error="Credly refused the key")
    content = administrator.get(reverse(name)).content
    assert not [key for key in keys if key in content]


def test_a_key_that_was_entered_with_a_mistake_is_not_sent_back(administrator, credly):
    add = reverse("admin:pipeline_organization_add")
    form = administrator.get(add).context["adminform"].form
    secrets = [name for name, field in form.fields.items() if isinstance(field.widget, PasswordInput)]
    assert secrets
    answer = administrator.post(add, {"uuid": "no-uuid"} | dict.fromkeys(secrets, "just-entered-4711"))
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert b"just-entered-4711" not in answer.content
