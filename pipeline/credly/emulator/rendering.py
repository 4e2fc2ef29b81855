"""Records as the JSON objects that Credly answers (facts/credly-api.md, sections 3 to 6 and 9)."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pipeline.credly.emulator import blanks
from pipeline.credly.emulator.records import Badge, Event, Organization, Template, Token, User
from pipeline.credly.emulator.state import State
from pipeline.credly.emulator.times import format_date, format_time

_ONLY_IN_TEMPLATES = ("reporting_tags", "recommending_templates", "criterion_for")


def slug(name: str) -> str:
    """The name as it stands in Credly's addresses."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _image(url: str) -> dict[str, str]:
    return {"id": str(uuid5(NAMESPACE_URL, url)), "url": url}


def _organization_reference(state: State, organization: Organization) -> dict[str, Any]:
    return {
        "type": "Organization",
        "id": organization.id,
        "name": organization.name,
        "url": f"{state.base_url}/v1/organizations/{organization.id}",
        "vanity_url": f"{state.base_url}/org/{slug(organization.name)}",
        "verified": True,
    }


def organization_object(state: State, organization: Organization) -> dict[str, Any]:
    """An organization (section 4)."""
    return (
        blanks.ORGANIZATION
        | organization.profile
        | {
            "id": organization.id,
            "name": organization.name,
            "webhook_url": organization.webhook_url,
            "allowed_webhooks": organization.allowed_webhooks,
            "vanity_slug": slug(organization.name),
            "vanity_url": f"{state.base_url}/org/{slug(organization.name)}",
            "default_page": "badges",
            "featured_badge_templates": [],
            "verified": True,
            "verified_at": format_time(organization.created_at),
            "created_at": format_time(organization.created_at),
            "updated_at": format_time(organization.updated_at),
        }
    )


def token_object(state: State, token: Token) -> dict[str, Any]:
    """An authorization token, its value in clear (section 3.2)."""
    owner = _organization_reference(state, state.organizations[token.organization_id])
    return {
        "id": token.id,
        "token": token.value,
        "owner_id": token.organization_id,
        "description": token.description,
        "read_enabled": token.read_enabled,
        "write_enabled": token.write_enabled,
        "delete_enabled": token.delete_enabled,
        "created_at": format_time(token.created_at),
        "expires_at": format_time(token.expires_at),
        "owner": {name: owner[name] for name in ("type", "id", "name", "url")},
    }


def template_object(state: State, template: Template, *, alone: bool = False) -> dict[str, Any]:
    """A badge template (section 5.4); alone it has two more lists than in a list or a badge."""
    owner = template.owner
    rendered = (
        blanks.TEMPLATE
        | template.details
        | {
            "id": template.id,
            "name": template.name,
            "description": template.description,
            "state": template.state,
            "state_updated_at": format_time(template.state_updated_at),
            "created_at": format_time(template.created_at),
            "updated_at": format_time(template.updated_at),
            "allow_duplicate_badges": template.allow_duplicate_badges,
            "public": template.public,
            "visibility": "public" if template.public else "private",
            "badges_count": template.badges_count,
            "get_issue_count": template.badges_count,
            "default_expires_at": format_time(template.default_expires_at),
            "vanity_slug": slug(template.name),
            "image": _image(template.image_url),
            "image_url": template.image_url,
            "url": f"{state.base_url}/org/{slug(owner.name)}/badge/{slug(template.name)}",
            "show_template_settings": alone,
            "owner": _organization_reference(state, owner)
            | {"enable_blockchain": False, "vanity_slug": slug(owner.name), "viewable": True},
        }
    )
    return rendered | {"recommending_templates": [], "criterion_for": []} if alone else rendered


def _user_object(state: State, badge: Badge) -> dict[str, Any] | None:
    user: User = badge.user
    if not user.confirmed and state.switches.unknown_user == "null":
        return None
    return {
        "id": user.id,
        "email": user.emails[0],
        "first_name": badge.issued_to_first_name,
        "middle_name": badge.issued_to_middle_name,
        "last_name": badge.issued_to_last_name,
        "current_position_name": None,
        "current_organization_name": None,
        "confirmed": user.confirmed,
        "photo": None,
        "photo_url": None,
        "url": f"{state.base_url}/users/{user.id}",
    }


def _addresses(state: State, badge: Badge) -> dict[str, str]:
    """The addresses that a badge has in its state; the others are absent, not null (section 6.1)."""
    page = f"{state.base_url}/badges/{badge.id}"
    addresses = {}
    if badge.state == "pending" or (badge.state == "accepted" and badge.replaces_badge_id):
        addresses["accept_badge_url"] = f"{page}/accept"
    if badge.state == "accepted":
        addresses["badge_url"] = page
    return addresses


def issued_to(badge: Badge) -> str:
    """The learner's names, joined."""
    names = (badge.issued_to_first_name, badge.issued_to_middle_name, badge.issued_to_last_name)
    return " ".join(name for name in names if name)


def badge_object(state: State, badge: Badge) -> dict[str, Any]:
    """An issued badge (section 6.1)."""
    issuer = _organization_reference(state, badge.organization)
    template = template_object(state, badge.template)
    return {
        "user": _user_object(state, badge),
        "created_by": issuer,
        "issuer": {
            "summary": f"issued by {badge.organization.name}",
            "entities": [{"label": "Issued by", "primary": True, "entity": issuer}],
        },
        "printing_enabled": False,
        "print_method": None,
        "badge_template": {name: value for name, value in template.items() if name not in _ONLY_IN_TEMPLATES},
        "id": badge.id,
        "issued_to": issued_to(badge),
        "issued_to_first_name": badge.issued_to_first_name,
        "issued_to_middle_name": badge.issued_to_middle_name,
        "issued_to_last_name": badge.issued_to_last_name,
        "issuer_earner_id": badge.issuer_earner_id,
        "locale": badge.locale,
        "public": badge.public,
        "recipient_email": badge.recipient_email,
        "replacement_badge_id": badge.replacement_badge_id,
        "replaces_badge_id": badge.replaces_badge_id,
        "revocation_reason": badge.revocation_reason,
        "state": badge.state,
        "suppress_badge_notification_email": badge.suppress_badge_notification_email,
        "country": badge.country_name,
        "country_code": None,
        "state_or_province": badge.state_or_province,
        "created_at": format_time(badge.created_at),
        "updated_at": format_time(badge.updated_at),
        "expires_at": format_time(badge.expires_at),
        "expires_at_date": format_date(badge.expires_at),
        "issued_at": format_time(badge.issued_at),
        "issued_at_date": format_date(badge.issued_at),
        "state_updated_at": format_time(badge.state_updated_at),
        "image": template["image"],
        "image_url": template["image_url"],
        "alignments": [
            {"name": item.get("name"), "description": item.get("description")} for item in template["alignments"]
        ],
        "evidence": badge.evidence,
        **_addresses(state, badge),
    }


_MINIMAL = [
    "id",
    "issued_to",
    "issued_to_first_name",
    "issued_to_last_name",
    "issuer_earner_id",
    "public",
    "recipient_email",
    "state",
    "badge_url",
    "accept_badge_url",
    "created_at",
    "updated_at",
    "issued_at",
    "expires_at",
    "state_updated_at",
]


def minimal_badge_object(state: State, badge: Badge) -> dict[str, Any]:
    """An issued badge as the bulk search gives it with ``badge_format=minimal`` (section 6.10)."""
    whole = badge_object(state, badge)
    return {name: whole[name] for name in _MINIMAL if name in whole} | {
        "badge_template": {"id": badge.template.id, "name": badge.template.name},
        "user": {"id": badge.user.id},
    }


def event_object(state: State, event: Event) -> dict[str, Any]:
    """An event with the badge or template that it is about (section 9.4)."""
    subject: Badge | Template = event.snapshot
    kind = "badge" if isinstance(subject, Badge) else "badge_template"
    if state.switches.event_object == "live":
        live = state.badges if kind == "badge" else state.templates
        subject = live.get(subject.id, subject)
    if event.event_type.endswith(".deleted") and state.switches.deleted_event_object == "id":
        shown = {"id": subject.id}
    elif isinstance(subject, Badge):
        shown = badge_object(state, subject)
    else:
        shown = template_object(state, subject, alone=True)
    return {
        "id": event.id,
        "event_type": event.event_type,
        "organization_id": event.organization.id,
        "occurred_at": format_time(event.occurred_at),
        kind: shown,
    }
