"""The life of Credly API keys: when one was set, when it expires, and that another took its place.

Credly keys live 180 days and then fail without a warning (`facts/credly-api.md` section 3.2), so we give one.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext

from pipeline.configuration import organizations
from pipeline.credly.client import CredlyClient, Limits, OrganizationInfo, pooled_session
from pipeline.credly.outcomes import Confirmed, Outcome
from pipeline.models import Organization

LIFETIME = timedelta(days=180)
"""How long Credly lets a key live (`facts/credly-api.md` section 3.2)."""

IMPATIENT = Limits(read=5.0, deadline=8.0)
"""For a call that a person waits for."""

WARNED_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Expiring:
    """A key that expires soon, or (`days` is negative) has expired.  `days` are whole days from now."""

    organization: Organization
    expires: datetime
    days: int


def ask(organization: Organization) -> Outcome[OrganizationInfo]:
    """Ask Credly at once whether the organization's key works, with a client of its own and little patience.

    Args:
        organization: a row, or one that is not saved yet.

    Raises:
        KeyMissing: it has no key.
    """
    key = organizations.api_key(organization)
    session = pooled_session(1)
    client = CredlyClient(organizations.api_base_url(), organization.uuid, key, session=session, limits=IMPATIENT)
    return client.organization()


def note(organization: Organization) -> bool:
    """See which key is in use, and if it is another one than before, forget what was known of that.  May be repeated.

    1. Compare the key's fingerprint with the one in the row.
    2. If they differ: note the time, forget the expiry, and let calls through again, for a new key deserves a try.

    Without a key nothing is noted: a key of the environment need not be known to every process.

    Returns:
        Whether it was another key; the organization's badges then need not wait any longer.
    """
    try:
        key = organizations.api_key(organization)
    except organizations.KeyMissing:
        return False
    fingerprint = _fingerprint(organization, key)
    changed = (
        Organization.objects.filter(pk=organization.pk)
        .exclude(key_fingerprint=fingerprint)
        .update(
            key_fingerprint=fingerprint,
            key_set_at=timezone.now(),
            key_expires_at=None,
            gate_closed_at=None,
            gate_reason="",
            failures=0,
            call_again_at=None,
        )
    )
    return bool(changed)


def learn(organization: Organization, client: CredlyClient) -> None:
    """Ask Credly when the organization's key was made and when it expires.  May be repeated.

    What Credly does not tell, because the key may not list keys or Credly can't be reached, stays as it was.

    Args:
        organization: any copy of the row.
        client: one with the key in use.
    """
    outcome = client.key_dates()
    if not isinstance(outcome, Confirmed) or outcome.value is None:
        return
    dates = {"key_set_at": outcome.value.created_at, "key_expires_at": outcome.value.expires_at}
    told = {name: time for name, time in dates.items() if time is not None}
    if told:
        Organization.objects.filter(pk=organization.pk).update(**told)


def source(organization: Organization) -> str:
    """Where the organization's key comes from, in words."""
    stored = organization.api_key or ""
    if str(organization.uuid) in organizations.configured_keys():
        return gettext("from the environment")
    if stored.startswith(organizations.ENVIRONMENT_PREFIX):
        variable = stored.removeprefix(organizations.ENVIRONMENT_PREFIX)
        return gettext("from the environment variable %(variable)s") % {"variable": variable}
    if stored.startswith(organizations.CIPHERTEXT_PREFIX):
        return gettext("stored, and can't be decrypted")
    return gettext("stored, encrypted") if stored else gettext("none")


def expires_at(organization: Organization) -> datetime | None:
    """When the organization's key expires: as Credly said, else 180 days after it was set; None if nothing is known."""
    if organization.key_expires_at:
        return organization.key_expires_at
    return organization.key_set_at + LIFETIME if organization.key_set_at else None


def expiring() -> list[Expiring]:
    """The keys that expire within 30 days or have expired, the most urgent first."""
    now = timezone.now()
    known = [(row, expires_at(row)) for row in Organization.objects.defer("api_key")]
    soon = [
        Expiring(row, expires, (expires - now).days)
        for row, expires in known
        if expires and expires - now <= WARNED_BEFORE
    ]
    return sorted(soon, key=lambda each: each.expires)


def _fingerprint(organization: Organization, key: str) -> str:
    """A hash by which to recognize the key: one of a random key of Credly's cannot be turned back into it."""
    return hashlib.sha256(f"{organization.uuid}:{key}".encode()).hexdigest()
