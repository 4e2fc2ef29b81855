"""Calling Credly for an organization: where, and with which key."""

import os
import uuid
from functools import cache
from typing import assert_never

from django.conf import settings

from pipeline.credly.client import CredlyClient, pooled_session
from pipeline.credly.outcomes import (
    Duplicate,
    Failure,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.models import Organization

ENVIRONMENT_PREFIX = "env:"
CIPHERTEXT_PREFIX = "gAAAAA"
"""How every Fernet token begins (version byte and the high bytes of its time); the field hands out what it can't decrypt."""


class KeyMissing(Exception):
    """No API key is known for the organization.  The message says where one can be set."""


def api_base_url() -> str:
    """Credly's API for this installation: production, or the sandbox when `USE_SANDBOX` is set."""
    credly = settings.BADGES_CONFIG["credly"]
    return str(credly["CREDLY_SANDBOX_API_BASE_URL" if credly["USE_SANDBOX"] else "CREDLY_API_BASE_URL"])


def configured_keys() -> dict[str, str]:
    """The keys of `CREDLY_ORGANIZATIONS`, by UUID: they never touch the database and go before what is stored there."""
    keys: dict[str, str] = settings.BADGES_CONFIG["credly"]["ORGANIZATIONS"]
    return keys


def api_key(organization: Organization) -> str:
    """The key to use: of the setting `CREDLY_ORGANIZATIONS`, else the stored one.

    Raises:
        KeyMissing: there is none.
    """
    stored: str = configured_keys().get(str(organization.uuid)) or organization.api_key or ""
    if stored.startswith(ENVIRONMENT_PREFIX):
        name = stored.removeprefix(ENVIRONMENT_PREFIX)
        stored = os.environ.get(name, "")
        if not stored:
            raise KeyMissing(f"The environment variable {name}, which holds this organization's API key, is not set.")
    if stored.startswith(CIPHERTEXT_PREFIX):
        raise KeyMissing(
            "This organization's stored API key can't be decrypted: SECRET_KEY or SALT_KEY changed. Enter the key again, "
            "or put the old SECRET_KEY into SECRET_KEY_FALLBACKS."
        )
    if not stored:
        raise KeyMissing(
            "This organization has no API key: add it in the admin, the badge file or CREDLY_ORGANIZATIONS."
        )
    return stored


def client(organization: Organization) -> CredlyClient:
    """A client for the organization; those with equal base, organization and key share one.

    Raises:
        KeyMissing: the organization has no API key.
    """
    return _client(api_base_url(), organization.uuid, api_key(organization))


@cache
def _client(base_url: str, organization: uuid.UUID, key: str) -> CredlyClient:
    return CredlyClient(base_url, organization, key, session=pooled_session(100))


def reason(failure: Failure) -> str:
    """Why a call to Credly brought nothing, in one line for people."""
    match failure:
        case Unauthorized(message=message):
            return f"Credly refuses the organization's key: {message}"
        case Rejected(message=message) | Duplicate(message=message):
            return f"Credly says: {message}"
        case Throttled():
            return "Credly asked for fewer calls."
        case Unavailable(reason=why) | Unknown(reason=why):
            return f"Credly gave no usable answer: {why}"
        case _:
            assert_never(failure)
