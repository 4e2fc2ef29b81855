"""What can be done to badges: issue, replace, revoke, delete, accept, reject (section 6)."""

import re
from collections.abc import Mapping
from dataclasses import replace as copy
from datetime import datetime
from typing import Any
from uuid import uuid4

from pipeline.credly.emulator.errors import RefusalError, archived, duplicate, invalid, not_found
from pipeline.credly.emulator.records import Badge, Organization, Template
from pipeline.credly.emulator.state import INDEXED, State
from pipeline.credly.emulator.times import parse_time

LOCALES = ("en", "fr", "de", "ko", "ja", "zh-CN", "pt", "es-ES", "es-US", "fr-CA", "pt-BR")
"""Languages of Credly's mails (section 6.1)."""

_REQUIRED = (
    "recipient_email",
    "issued_to_first_name",
    "issued_to_last_name",
    "badge_template_id",
    "issued_at",
)
_OPTIONAL = (
    "issued_to_middle_name",
    "issuer_earner_id",
    "country_name",
    "state_or_province",
)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

Fields = Mapping[str, Any]


def issue(state: State, organization: Organization, fields: Fields) -> Badge:
    """Issue a badge, or replace the one the learner has when the call asks for that.

    Steps: check the fields; look for a badge the learner already has; store the new badge; record
    ``badge.created``. Not repeatable where the template allows duplicates: there is no idempotency key.
    Raises RefusalError.
    """
    for name in _REQUIRED:
        if not str(fields.get(name) or "").strip():
            raise invalid(name, "can't be blank")
    _check_form(fields)
    template = _template(state, organization, fields["badge_template_id"])
    behavior = fields.get("duplicate_behavior")
    if behavior not in (None, "replace", "allow", "deny"):
        raise invalid("duplicate_behavior", "is not included in the list")
    held = None if template.allow_duplicate_badges or behavior == "allow" else _held(state, template, fields)
    if held is None:
        return _store(state, _new_badge(state, organization, template, fields))
    attribute, existing = held
    if behavior != "replace":
        raise duplicate(attribute)
    return _merge(state, existing, fields)


def replace(state: State, badge: Badge, fields: Fields) -> Badge:
    """Supersede the badge by a new one that keeps its state (section 6.7).

    Steps: check the fields; store the new badge; mark the old one ``replaced``; record both events.
    Raises RefusalError; a second replacement is refused with the id of the live badge.
    """
    if badge.replacement_badge_id:
        raise RefusalError(
            422,
            "Validation failed: This badge cannot be replaced because it has already been replaced.",
            metadata={"current_badge_id": _live(state, badge).id},
        )
    if badge.state not in ("pending", "accepted"):
        raise invalid("badge", f"cannot be replaced because it is {badge.state}")
    for name in ("badge_template_id", "issued_at"):
        if not str(fields.get(name) or "").strip():
            raise invalid(name, "can't be blank")
    if "recipient_email" in fields and badge.state != "pending":
        raise invalid("recipient_email", "cannot be changed")
    _check_form(fields)
    template = _template(state, badge.organization, fields["badge_template_id"])
    kept = {name: getattr(badge, name) for name in (*_REQUIRED[:3], *_OPTIONAL, "locale", "evidence")}
    return _supersede(state, badge, _new_badge(state, badge.organization, template, kept | dict(fields)))


def revoke(state: State, badge: Badge, fields: Fields) -> Badge:
    """Revoke the badge and record ``badge.state.changed`` (section 6.6). Raises RefusalError."""
    reason = fields.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise invalid("reason", "can't be blank")
    if badge.state == "replaced":
        raise invalid("badge", "cannot be revoked because it has been replaced")
    if badge.state not in state.switches.revocable_states:
        raise invalid("badge", f"cannot be revoked because it is {badge.state}")
    if badge.state != "revoked":
        badge.revocation_reason = reason
        change_state(state, badge, "revoked")
    return badge


def delete(state: State, badge: Badge) -> None:
    """Delete the badge without trace but its events, and record ``badge.deleted``."""
    state.remove_badge(badge)
    state.record("badge.deleted", badge.organization, badge)


def accept(state: State, badge: Badge) -> Badge:
    """Accept as the earner does. Raises RefusalError when the badge is not open to that."""
    if badge.state != "pending" and not (badge.state == "rejected" and state.switches.accept_rejected):
        raise invalid("badge", f"cannot be accepted because it is {badge.state}")
    return change_state(state, badge, "accepted")


def reject(state: State, badge: Badge) -> Badge:
    """Reject as the earner does. Raises RefusalError when the badge is not pending."""
    if badge.state != "pending":
        raise invalid("badge", f"cannot be rejected because it is {badge.state}")
    return change_state(state, badge, "rejected")


def change_state(state: State, badge: Badge, new: str) -> Badge:
    """Put the badge into a state and record ``badge.state.changed``."""
    badge.state = new
    badge.updated_at = badge.state_updated_at = state.now()
    state.record("badge.state.changed", badge.organization, badge)
    return badge


def _check_form(fields: Fields) -> None:
    address = fields.get("recipient_email")
    if address is not None and not (isinstance(address, str) and _ADDRESS.fullmatch(address)):
        raise invalid("recipient_email", "is invalid")
    if fields.get("locale") not in (None, *LOCALES):
        raise invalid("locale", "is not included in the list")
    if not isinstance(fields.get("evidence") or [], list):
        raise invalid("evidence", "is invalid")


def _template(state: State, organization: Organization, template_id: object) -> Template:
    template = state.templates.get(str(template_id).lower())
    if template is None or organization.id not in (template.owner.id, *template.granted_to):
        if state.switches.unknown_template_status == 422:
            raise invalid("badge_template", "must exist")
        raise not_found("Badge template")
    if template.state != "active":
        raise archived(template.state)
    return template


def _held(state: State, template: Template, fields: Fields) -> tuple[str, Badge] | None:
    """The badge of this template that the learner already has, and the attribute that shows it."""
    email = str(fields["recipient_email"])
    values = (email, _text(fields.get("issuer_earner_id")), state.user(email).id)
    for attribute, value in zip(INDEXED, values, strict=True):
        for badge in state.badges_by(attribute, value):
            if badge.template.id == template.id and badge.state in state.switches.duplicate_states:
                return attribute, badge
    return None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _time(name: str, value: object) -> datetime:
    try:
        return parse_time(str(value))
    except ValueError:
        raise invalid(name, "is not a valid datetime") from None


def _expiry(template: Template, fields: Fields) -> datetime | None:
    value = fields.get("expires_at")
    if value is None:
        return template.default_expires_at
    return None if value is False or value == "false" else _time("expires_at", value)


def _evidence(fields: Fields) -> list[dict[str, Any]]:
    items = fields.get("evidence") or []
    if not all(isinstance(item, dict) for item in items):
        raise invalid("evidence", "is invalid")
    return [{"id": str(uuid4()), **item} for item in items]


def _new_badge(state: State, organization: Organization, template: Template, fields: Fields) -> Badge:
    now = state.now()
    email = str(fields["recipient_email"])
    return Badge(
        id=str(uuid4()),
        organization=organization,
        template=template,
        user=state.user(email),
        recipient_email=email,
        issued_to_first_name=str(fields["issued_to_first_name"]),
        issued_to_last_name=str(fields["issued_to_last_name"]),
        issued_at=_time("issued_at", fields["issued_at"]),
        created_at=now,
        updated_at=now,
        state="accepted" if state.switches.accept_automatically else "pending",
        locale=fields.get("locale") or "en",
        suppress_badge_notification_email=fields.get("suppress_badge_notification_email") in (True, "true"),
        expires_at=_expiry(template, fields),
        evidence=_evidence(fields),
        issued_to_middle_name=_text(fields.get("issued_to_middle_name")),
        issuer_earner_id=_text(fields.get("issuer_earner_id")),
        country_name=_text(fields.get("country_name")),
        state_or_province=_text(fields.get("state_or_province")),
    )


def _store(state: State, badge: Badge) -> Badge:
    state.add_badge(badge)
    state.record("badge.created", badge.organization, badge)
    return badge


def _supersede(state: State, old: Badge, new: Badge) -> Badge:
    new.state, new.state_updated_at = old.state, old.state_updated_at
    new.replaces_badge_id = old.id
    old.replacement_badge_id = new.id
    change_state(state, old, "replaced")
    return _store(state, new)


def _merge(state: State, existing: Badge, fields: Fields) -> Badge:
    """``duplicate_behavior: replace``: the new data, but the old ``issued_at`` (section 6.3)."""
    new = _new_badge(state, existing.organization, existing.template, fields)
    new.issued_at = existing.issued_at
    same_learner = new.issuer_earner_id is not None and new.issuer_earner_id == existing.issuer_earner_id
    if not (existing.state == "pending" and same_learner):
        new.recipient_email, new.user = existing.recipient_email, existing.user
    if _content(new) == _content(existing):
        return existing
    return _supersede(state, existing, new)


def _content(badge: Badge) -> Badge:
    """The badge without what differs between any two, to compare what a person entered."""
    plain = [{name: value for name, value in item.items() if name != "id"} for item in badge.evidence]
    epoch = badge.issued_at
    return copy(
        badge,
        id="",
        state="",
        created_at=epoch,
        updated_at=epoch,
        state_updated_at=None,
        evidence=plain,
        replaces_badge_id=None,
        replacement_badge_id=None,
    )


def _live(state: State, badge: Badge) -> Badge:
    while badge.replacement_badge_id in state.badges:
        badge = state.badges[badge.replacement_badge_id]
    return badge
