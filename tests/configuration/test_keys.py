"""The life of API keys: when one was set, when it expires, and what tells that another took its place."""

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, models
from django.utils import timezone
from encrypted_fields.fields import EncryptedTextField

from pipeline import stages
from pipeline.configuration import keys, organizations
from pipeline.ledgers import holdings
from pipeline.models import Badge, Organization
from tests.ledgers import builders
from tests.stages.conftest import Site, call_credly_at, make_site

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def site(emulator, settings: Any) -> Site:
    call_credly_at(f"{emulator.api}/", settings)
    return make_site(emulator)


def configure(settings: Any, **keys_by_organization: str) -> None:
    """Let `CREDLY_ORGANIZATIONS` be this."""
    config = settings.BADGES_CONFIG
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | {"ORGANIZATIONS": keys_by_organization}}


def fresh(row: Organization) -> Organization:
    return Organization.objects.get(pk=row.pk)


def test_the_first_key_is_noted_once():
    row = builders.organization()
    assert keys.note(row)
    assert abs(fresh(row).key_set_at - timezone.now()) < timedelta(minutes=1)
    assert not keys.note(fresh(row))


def test_another_key_is_tried_at_once_and_what_was_known_of_the_first_is_forgotten():
    row = builders.organization()
    keys.note(row)
    long_ago = timezone.now() - 170 * DAY
    Organization.objects.update(
        key_set_at=long_ago,
        key_expires_at=long_ago,
        gate_reason="key refused",
        gate_closed_at=long_ago,
        call_again_at=timezone.now() + DAY,
    )
    row = fresh(row)
    row.api_key = "another"
    row.save()
    waiting = builders.badge(template=builders.template(row), due_at=timezone.now() + DAY, error=holdings.GATE_CLOSED)
    assert stages.note_key(row)
    row = fresh(row)
    assert (row.key_expires_at, row.gate_closed_at, row.call_again_at) == (None, None, None)
    assert row.key_set_at > long_ago
    assert Badge.objects.get(pk=waiting.pk).due_at <= timezone.now()


def test_the_same_key_leaves_the_gate_closed():
    row = builders.organization()
    keys.note(row)
    Organization.objects.update(gate_reason="key refused", gate_closed_at=timezone.now())
    assert not keys.note(fresh(row))
    assert fresh(row).gate_closed_at is not None


def test_a_key_of_the_environment_is_noted_and_its_absence_forgets_nothing(settings, monkeypatch):
    row = builders.organization(api_key="env:ACADEMY_KEY")
    monkeypatch.setenv("ACADEMY_KEY", "one")
    assert keys.note(row)
    monkeypatch.delenv("ACADEMY_KEY")
    assert not keys.note(row)
    assert fresh(row).key_set_at is not None
    monkeypatch.setenv("ACADEMY_KEY", "two")
    assert keys.note(row)
    configure(settings, **{str(row.uuid): "three"})
    assert keys.note(row)


def test_the_fingerprint_does_not_contain_the_key():
    row = builders.organization(api_key="secret-key")
    keys.note(row)
    assert "secret" not in fresh(row).key_fingerprint


def test_credly_tells_when_the_key_was_made_and_when_it_expires(site):
    token = {"organization": site.academy.organization, "token": "short-lived", "lifetime": 10 * 86_400}
    site.emulator.control("POST", "tokens", token)
    Organization.objects.update(api_key="short-lived")
    keys.learn(site.organization, organizations.client(fresh(site.organization)))
    row = fresh(site.organization)
    assert abs(row.key_expires_at - (timezone.now() + 10 * DAY)) < timedelta(minutes=1)
    assert row.key_expires_at - row.key_set_at == 10 * DAY
    assert keys.expires_at(row) == row.key_expires_at


@pytest.mark.parametrize("preset", ["401", "403", "500", "502-html", "cut-json"])
def test_a_credly_that_does_not_tell_is_no_error(site, preset):
    keys.note(site.organization)
    before = fresh(site.organization)
    site.fault(preset, method="GET", match={"path": "authorization_tokens"})
    keys.learn(site.organization, organizations.client(site.organization))
    after = fresh(site.organization)
    assert (after.key_set_at, after.key_expires_at) == (before.key_set_at, None)
    assert keys.expires_at(after) == before.key_set_at + 180 * DAY


def test_of_a_key_that_was_never_seen_no_expiry_is_known():
    assert keys.expires_at(builders.organization()) is None


@pytest.mark.parametrize(("days", "warned"), [(31, False), (29, True), (1, True), (-1, True)])
def test_a_warning_comes_thirty_days_before_and_stays_after(days, warned):
    builders.organization(key_expires_at=timezone.now() + days * DAY + timedelta(hours=1))
    assert [each.days for each in keys.expiring()] == ([days] if warned else [])


def test_the_most_urgent_key_is_named_first():
    late = builders.organization(key_expires_at=timezone.now() + 20 * DAY)
    soon = builders.organization(key_set_at=timezone.now() - 179 * DAY)
    assert [each.organization for each in keys.expiring()] == [soon, late]


def test_the_check_command_warns_of_keys_that_expire_and_of_organizations_without_one(capsys):
    day = timezone.now() + 5 * DAY
    soon = builders.organization(name="Soon", key_expires_at=day)
    gone = builders.organization(name="Gone", key_expires_at=timezone.now() - 2 * DAY)
    builders.organization(name="Keyless", api_key=None)
    call_command("check")
    said = capsys.readouterr().err
    assert f"The API key of Soon ({soon.uuid}) expires on {day:%Y-%m-%d}" in said
    assert f"The API key of Gone ({gone.uuid}) expired" in said
    assert "Keyless" in said
    assert "has no API key" in said
    assert "the-key" not in said


def test_with_keys_in_order_the_check_says_nothing(capsys):
    builders.organization(key_expires_at=timezone.now() + 100 * DAY)
    call_command("check", stdout=(out := StringIO()))
    assert "no issues" in out.getvalue()


def test_no_command_but_check_asks_the_database_for_keys():
    builders.organization(api_key=None)
    assert not [message for message in run_checks() if message.id in ("badges.W004", "badges.W005")]


def test_a_database_without_tables_breaks_no_check():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pipeline_organization RENAME TO pipeline_elsewhere")
    try:
        call_command("check", stdout=(out := StringIO()))
    finally:
        if connection.vendor == "mysql":  # there it is no part of the transaction that ends with the test
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE pipeline_elsewhere RENAME TO pipeline_organization")
    assert "no issues" in out.getvalue()


def test_a_stored_key_survives_a_change_of_the_secret_with_the_old_one_as_fallback(settings):
    settings.SECRET_KEY = "the-old-secret"
    stored = EncryptedTextField().get_prep_value("the-key")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the-new-secret", ["the-old-secret"]
    after = EncryptedTextField()
    assert after.from_db_value(stored, models.Value(""), connection) == "the-key"
    assert after.from_db_value(after.get_prep_value("the-key"), models.Value(""), connection) == "the-key"
    settings.SECRET_KEY_FALLBACKS = []
    lost = EncryptedTextField().from_db_value(stored, models.Value(""), connection)
    with pytest.raises(organizations.KeyMissing, match="can't be decrypted"):
        organizations.api_key(Organization(uuid=UUID(int=1), api_key=lost))
