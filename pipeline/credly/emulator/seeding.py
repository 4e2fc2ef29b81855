"""Organizations, tokens and templates from a description: a seed file, the command line, or control."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from pipeline.credly.emulator.records import Organization, Template, Token
from pipeline.credly.emulator.resources.organizations import PROFILE
from pipeline.credly.emulator.resources.templates import DETAILS, STATES
from pipeline.credly.emulator.specification import SpecificationError, check, check_uuid
from pipeline.credly.emulator.state import TOKEN_LIFETIME, State
from pipeline.credly.emulator.times import parse_time

_NULL_OR_TEXT = (str, type(None))


def plant(state: State, seed: object) -> None:
    """Create everything in ``{"organizations": [...]}``. Raises SpecificationError."""
    for given in check(seed, required={"organizations": list}, optional={})["organizations"]:
        create_organization(state, given)


def create_organization(state: State, given: object) -> Organization:
    """Create an organization with its ``tokens`` and ``templates``. Raises SpecificationError."""
    fields = check(
        given,
        required={"name": str},
        optional={
            "id": str,
            "webhook_url": _NULL_OR_TEXT,
            "allowed_webhooks": list,
            "tokens": list,
            "templates": list,
            **dict.fromkeys(PROFILE, object),
        },
    )
    now = state.now()
    organization = Organization(
        id=_new_id(fields, state.organizations),
        name=fields["name"],
        created_at=now,
        updated_at=now,
        webhook_url=fields.get("webhook_url"),
        allowed_webhooks=fields.get("allowed_webhooks", []),
        profile={name: fields[name] for name in PROFILE if name in fields},
    )
    state.organizations[organization.id] = organization
    for token in fields.get("tokens", []):
        create_token(state, {"organization": organization.id, **_object(token, "token")})
    for template in fields.get("templates", []):
        create_template(state, {"organization": organization.id, **_object(template, "template")})
    return organization


def create_token(state: State, given: object) -> Token:
    """Create a token of an organization; ``lifetime`` is in seconds. Raises SpecificationError."""
    flags = ("read_enabled", "write_enabled", "delete_enabled")
    fields = check(
        given,
        required={"organization": str},
        optional={"token": str, "description": str, "lifetime": (int, float), **dict.fromkeys(flags, bool)},
    )
    value = fields.get("token") or uuid4().hex
    if value in state.tokens or ":" in value:
        raise SpecificationError("token must be new and without a colon")
    now = state.now()
    lifetime = timedelta(seconds=fields.get("lifetime", TOKEN_LIFETIME.total_seconds()))
    token = Token(
        id=str(uuid4()),
        value=value,
        organization_id=_organization(state, fields).id,
        created_at=now,
        expires_at=now + lifetime,
        description=fields.get("description"),
        **{name: fields[name] for name in flags if name in fields},
    )
    state.tokens[token.value] = token
    return token


def create_template(state: State, given: object) -> Template:
    """Create a template and record ``badge_template.created``. Raises SpecificationError."""
    fields = check(
        given,
        required={"organization": str, "name": str},
        optional={
            **dict.fromkeys(("id", "description", "state", "image_url", "default_expires_at"), str),
            **dict.fromkeys(("allow_duplicate_badges", "public"), bool),
            "granted_to": list,
            **dict.fromkeys(DETAILS, object),
        },
    )
    if fields.get("state", "active") not in STATES:
        raise SpecificationError(f"state must be one of: {', '.join(STATES)}")
    now = state.now()
    chosen = ("state", "image_url", "allow_duplicate_badges", "public")
    template = Template(
        id=_new_id(fields, state.templates),
        owner=_organization(state, fields),
        name=fields["name"],
        description=fields.get("description", fields["name"]),
        created_at=now,
        updated_at=now,
        granted_to=[check_uuid(value, "granted_to") for value in fields.get("granted_to", [])],
        default_expires_at=_time(fields.get("default_expires_at")),
        details={name: fields[name] for name in DETAILS if name in fields},
        **{name: fields[name] for name in chosen if name in fields},
    )
    state.templates[template.id] = template
    state.record("badge_template.created", template.owner, template)
    return template


def _object(given: object, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise SpecificationError(f"each {what} must be a JSON object")
    return given


def _new_id(fields: dict[str, Any], taken: dict[str, Any]) -> str:
    identifier = check_uuid(fields.get("id", uuid4()), "id")
    if identifier in taken:
        raise SpecificationError(f"id {identifier} exists already")
    return identifier


def _organization(state: State, fields: dict[str, Any]) -> Organization:
    organization = state.organizations.get(check_uuid(fields["organization"], "organization"))
    if organization is None:
        raise SpecificationError(f"unknown organization {fields['organization']}")
    return organization


def _time(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise SpecificationError(f"{text!r} is no time") from None
