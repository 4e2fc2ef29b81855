"""Organizations and their authorization tokens (facts/credly-api.md, sections 3.2 and 4)."""

import secrets
from typing import Any
from uuid import uuid4

from pipeline.credly.emulator.call import Answer, Call, success
from pipeline.credly.emulator.errors import invalid
from pipeline.credly.emulator.query import parse_query
from pipeline.credly.emulator.records import Token
from pipeline.credly.emulator.rendering import organization_object, token_object
from pipeline.credly.emulator.state import TOKEN_LIFETIME

PROFILE = [
    "website_url",
    "location",
    "zip_or_postal_code",
    "contact_email",
    "legal_contact_email",
    "organization_type",
    "bio",
    "twitter_url",
    "facebook_url",
    "photo",
    "city",
    "state_or_province",
    "country",
    "address",
    "hide_subscription",
]
"""Descriptive fields that an organization may set (section 4)."""


def list_organizations(call: Call) -> Answer:
    """The organization of the token."""
    organization = call.state.organizations[call.token.organization_id]
    return call.page([organization], parse_query(call.arguments), organization_object)


def get_organization(call: Call) -> Answer:
    """One organization."""
    return success(organization_object(call.state, call.organization))


def update_organization(call: Call) -> Answer:
    """Set the given fields; among them ``webhook_url``, where events are sent."""
    if not str(call.body.get("name", call.organization.name) or "").strip():
        raise invalid("name", "can't be blank")
    if not isinstance(call.body.get("webhook_url"), str | None):
        raise invalid("webhook_url", "is invalid")
    call.organization.name = str(call.body.get("name", call.organization.name))
    call.organization.webhook_url = call.body.get("webhook_url", call.organization.webhook_url)
    call.organization.profile |= {name: call.body[name] for name in PROFILE if name in call.body}
    call.organization.updated_at = call.state.now()
    return success(organization_object(call.state, call.organization))


def list_tokens(call: Call) -> Answer:
    """All tokens in clear; a token that cannot write and delete sees only those that cannot either."""
    mighty = call.token.write_enabled and call.token.delete_enabled
    visible = [
        token
        for token in call.state.tokens.values()
        if token.organization_id == call.organization.id
        and (mighty or not (token.write_enabled or token.delete_enabled))
    ]
    return call.page(visible, parse_query(call.arguments), token_object)


def create_token(call: Call) -> Answer:
    """Make another token; it lives 180 days."""
    token = _add_token(
        call,
        description=call.body.get("description"),
        read_enabled=bool(call.body.get("read_enabled", True)),
        write_enabled=bool(call.body.get("write_enabled", False)),
        delete_enabled=bool(call.body.get("delete_enabled", False)),
    )
    return success(token_object(call.state, token), status=201)


def rotate_token(call: Call) -> Answer:
    """Give the calling token a new value and another 180 days; the old value is dead at once."""
    old = call.state.tokens.pop(call.token.value)
    token = _add_token(
        call,
        description=old.description,
        read_enabled=old.read_enabled,
        write_enabled=old.write_enabled,
        delete_enabled=old.delete_enabled,
    )
    return success(token_object(call.state, token))


def _add_token(call: Call, **fields: Any) -> Token:
    now = call.state.now()
    token = Token(
        id=str(uuid4()),
        value=secrets.token_urlsafe(27),
        organization_id=call.organization.id,
        created_at=now,
        expires_at=now + TOKEN_LIFETIME,
        **fields,
    )
    call.state.tokens[token.value] = token
    return token
