"""Badge templates (facts/credly-api.md, section 5)."""

from typing import Any
from uuid import uuid4

from pipeline.credly.emulator.call import Answer, Call, success
from pipeline.credly.emulator.errors import invalid, not_found
from pipeline.credly.emulator.query import TEMPLATE_FILTERS, parse_query, select
from pipeline.credly.emulator.records import Template
from pipeline.credly.emulator.rendering import template_object
from pipeline.credly.emulator.state import State

STATES = ("draft", "active", "archived")
"""States of a template (section 5.1)."""

DETAILS = [
    "cost",
    "level",
    "time_to_earn",
    "type_category",
    "global_activity_url",
    "criteria_url",
    "criteria_url_name",
    "certification",
    "lock_badge_state",
    "translatable",
    "skills",
    "reporting_tags",
    "alignments",
    "recommendations",
    "badge_template_activities",
]
"""Descriptive fields that a template may be given (section 5.4)."""


def list_templates(call: Call) -> Answer:
    """The organization's templates and those that others granted it."""
    query = parse_query(call.arguments)
    visible = [item for item in call.state.templates.values() if _visible(call, item)]
    return call.page(select(call.state, visible, query, TEMPLATE_FILTERS), query, template_object)


def get_template(call: Call) -> Answer:
    """One template."""
    return success(template_object(call.state, _template(call), alone=True))


def create_template(call: Call) -> Answer:
    """Make a template; Credly wants an image, three skills, a criteria page and an activity (5.5)."""
    for name in ("name", "description", "image", "global_activity_url"):
        if not call.body.get(name):
            raise invalid(name, "can't be blank")
    if len(_list(call.body, "skills")) < 3:
        raise invalid("skills", "must have at least 3 items")
    if not _list(call.body, "badge_template_activities"):
        raise invalid("badge_template_activities", "can't be blank")
    now = call.state.now()
    template = Template(
        id=str(uuid4()),
        owner=call.organization,
        name=str(call.body["name"]),
        description=str(call.body["description"]),
        created_at=now,
        updated_at=now,
        state_updated_at=now,
    )
    _describe(template, call.body)
    call.state.templates[template.id] = template
    call.state.record("badge_template.created", template.owner, template)
    rendered = template_object(call.state, template, alone=True)
    address = f"{call.origin}/v1/organizations/{template.owner.id}/badge_templates/{template.id}"
    return success(rendered, status=201, headers={"Location": address})


def update_template(call: Call) -> Answer:
    """Change the given fields of a template that the organization owns."""
    template = _owned(call)
    _describe(template, call.body)
    template.name = str(call.body.get("name") or template.name)
    template.description = str(call.body.get("description") or template.description)
    change_state(call.state, template, call.body.get("state", template.state))
    return success(template_object(call.state, template, alone=True))


def delete_template(call: Call) -> Answer:
    """Delete a template that the organization owns; badges issued from it stay."""
    remove_template(call.state, _owned(call))
    return Answer(204, "")


def change_state(state: State, template: Template, new: object) -> None:
    """Put the template into a state and record ``badge_template.changed``. Raises RefusalError."""
    if new not in STATES:
        raise invalid("state", "is not included in the list")
    now = state.now()
    if template.state != new:
        template.state, template.state_updated_at = str(new), now
    template.updated_at = now
    state.record("badge_template.changed", template.owner, template)


def remove_template(state: State, template: Template) -> None:
    """Forget the template and record ``badge_template.deleted``."""
    del state.templates[template.id]
    state.record("badge_template.deleted", template.owner, template)


def _describe(template: Template, fields: dict[str, Any]) -> None:
    template.details |= {name: fields[name] for name in DETAILS if name in fields}
    template.public = bool(fields.get("public", template.public))
    template.allow_duplicate_badges = bool(fields.get("allow_duplicate_badges", template.allow_duplicate_badges))
    image = fields.get("image")
    if isinstance(image, dict) and isinstance(image.get("remote_upload_url"), str):
        template.image_url = image["remote_upload_url"]


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name) or []
    return value if isinstance(value, list) else []


def _visible(call: Call, template: Template) -> bool:
    return call.organization.id in (template.owner.id, *template.granted_to)


def _template(call: Call) -> Template:
    template = call.state.templates.get(call.ids["template"])
    if template is None or not _visible(call, template):
        raise not_found("Badge template")
    return template


def _owned(call: Call) -> Template:
    template = _template(call)
    if template.owner is not call.organization:
        raise not_found("Badge template")
    return template
