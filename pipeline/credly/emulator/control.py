"""The control API under ``/control/``: how tests and operators set the stage and read the ledger."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from pipeline.credly.emulator import issuing, seeding
from pipeline.credly.emulator.errors import RefusalError
from pipeline.credly.emulator.faults import make_fault
from pipeline.credly.emulator.records import Badge, Event, User
from pipeline.credly.emulator.rendering import (
    event_object,
    organization_object,
    template_object,
    token_object,
)
from pipeline.credly.emulator.resources.templates import change_state, remove_template
from pipeline.credly.emulator.specification import SpecificationError, check, check_uuid
from pipeline.credly.emulator.times import format_time
from pipeline.credly.emulator.webhooks import ORDERS
from pipeline.credly.emulator.world import World

Body = dict[str, Any]
Arguments = Mapping[str, str]


class UnknownError(LookupError):
    """The thing or path that was named is not there; the message says which."""


def answer(world: World, method: str, path: str, arguments: Arguments, raw: bytes) -> tuple[int, Body]:
    """Serve one control call: the status and JSON to answer. Errors are ``{"error": "..."}``."""
    try:
        for wanted, pattern, serve in _ROUTES:
            if wanted == method and (found := pattern.fullmatch(path.strip("/"))):
                return 200, serve(world, *found.groups(), **_input(method, arguments, raw))
        return 404, {"error": f"no such control call: {method} /control/{path}"}
    except UnknownError as error:
        return 404, {"error": str(error.args[0])}
    except SpecificationError as error:
        return 400, {"error": str(error)}
    except RefusalError as refusal:
        return 400, {"error": refusal.message}


def _input(method: str, arguments: Arguments, raw: bytes) -> dict[str, Any]:
    if method == "GET":
        return {"arguments": arguments}
    if method == "DELETE":
        return {}
    try:
        return {"given": json.loads(raw) if raw else {}}
    except ValueError:
        raise SpecificationError("the body is not JSON") from None


def _reset(world: World, given: object) -> Body:
    """Begin anew with the seed alone."""
    check(given, required={}, optional={})
    world.reset()
    return {"reset": True}


def _create_organization(world: World, given: object) -> Body:
    """Create an organization, with tokens and templates if given: name, id, webhook_url, ..."""
    return organization_object(world.state, seeding.create_organization(world.state, given))


def _update_organization(world: World, organization_id: str, given: object) -> Body:
    """Set webhook_url or allowed_webhooks."""
    fields = check(given, required={}, optional={"webhook_url": (str, type(None)), "allowed_webhooks": list})
    organization = _one(world.state.organizations, organization_id, "organization")
    for name, value in fields.items():
        setattr(organization, name, value)
    return organization_object(world.state, organization)


def _create_token(world: World, given: object) -> Body:
    """Create a token: organization, token, read_enabled, write_enabled, delete_enabled, lifetime (s)."""
    return token_object(world.state, seeding.create_token(world.state, given))


def _create_template(world: World, given: object) -> Body:
    """Create a template: organization, name, id, state, allow_duplicate_badges, granted_to, ..."""
    return template_object(world.state, seeding.create_template(world.state, given), alone=True)


def _template_state(world: World, template_id: str, given: object) -> Body:
    """Put a template into a state: state."""
    fields = check(given, required={"state": str}, optional={})
    template = _one(world.state.templates, template_id, "template")
    change_state(world.state, template, fields["state"])
    return template_object(world.state, template, alone=True)


def _delete_template(world: World, template_id: str) -> Body:
    """Delete a template."""
    remove_template(world.state, _one(world.state.templates, template_id, "template"))
    return {"deleted": True}


def _create_user(world: World, given: object) -> Body:
    """Bind addresses to one confirmed Credly account, before badges go to them: emails."""
    emails = check(given, required={"emails": list}, optional={})["emails"]
    if not emails or not all(isinstance(email, str) for email in emails):
        raise SpecificationError("emails must be a list of addresses")
    user = User(str(uuid4()), emails, confirmed=True)
    world.state.users |= {email.casefold(): user for email in emails}
    return {"id": user.id}


def _accept(world: World, badge_id: str, given: object) -> Body:
    """Accept a badge as its earner."""
    check(given, required={}, optional={})
    return _ledger_row(issuing.accept(world.state, _one(world.state.badges, badge_id, "badge")))


def _reject(world: World, badge_id: str, given: object) -> Body:
    """Reject a badge as its earner."""
    check(given, required={}, optional={})
    return _ledger_row(issuing.reject(world.state, _one(world.state.badges, badge_id, "badge")))


def _privacy(world: World, badge_id: str, given: object) -> Body:
    """Make a badge public or private: public."""
    public = check(given, required={"public": bool}, optional={})["public"]
    badge = _one(world.state.badges, badge_id, "badge")
    badge.public, badge.updated_at = public, world.state.now()
    world.state.record("badge.privacy.changed", badge.organization, badge)
    return _ledger_row(badge)


def _ledger(world: World, arguments: Arguments) -> Body:
    """All badges; filter by organization, template, state, issuer_earner_id, recipient_email."""
    wanted = _known(arguments, "organization", "template", "state", "issuer_earner_id", "recipient_email")
    rows = map(_ledger_row, world.state.badges.values())
    return {"badges": [row for row in rows if all(row[name] == value for name, value in wanted.items())]}


def _ledger_row(badge: Badge) -> Body:
    shown = {name: getattr(badge, name) for name in _LEDGER_FIELDS}
    times = {name: format_time(getattr(badge, name)) for name in _LEDGER_TIMES}
    return shown | times | {"organization": badge.organization.id, "template": badge.template.id}


_LEDGER_FIELDS = [
    "id",
    "state",
    "recipient_email",
    "issuer_earner_id",
    "issued_to_first_name",
    "issued_to_middle_name",
    "issued_to_last_name",
    "locale",
    "public",
    "suppress_badge_notification_email",
    "country_name",
    "state_or_province",
    "evidence",
    "revocation_reason",
    "replaces_badge_id",
    "replacement_badge_id",
]
_LEDGER_TIMES = ["issued_at", "created_at", "updated_at", "state_updated_at", "expires_at"]


def _requests(world: World, arguments: Arguments) -> Body:
    """The log of calls; filter by since, method, path (regex), organization, template, status, fault, ..."""
    wanted = _known(
        arguments,
        "since",
        "method",
        "path",
        "organization",
        "template",
        "issuer_earner_id",
        "fault",
        "status",
    )
    since, path = wanted.pop("since", "0"), _pattern(wanted.pop("path", ""))
    if not since.isdecimal():
        raise SpecificationError("since must be a sequence number")
    rows = [entry.describe() for entry in world.journal.since(int(since)) if path.search(entry.path)]
    return {"requests": [row for row in rows if all(str(row[key]) == value for key, value in wanted.items())]}


def _add_fault(world: World, given: object) -> Body:
    """Put a fault in force: preset, match, times, status, headers, body, delay, when, ending, ..."""
    fault = make_fault(given)
    world.faults.add(fault)
    return fault.describe()


def _list_faults(world: World, arguments: Arguments) -> Body:
    """The faults in force, with their hits."""
    _known(arguments)
    return {"faults": [fault.describe() for fault in world.faults.active.values()]}


def _clear_faults(world: World) -> Body:
    """Lift all faults."""
    world.faults.active.clear()
    return {"deleted": True}


def _delete_fault(world: World, fault_id: str) -> Body:
    """Lift one fault."""
    _one(world.faults.active, fault_id, "fault")
    del world.faults.active[fault_id]
    return {"deleted": True}


def _latency(world: World, given: object) -> Body:
    """Set what each API call takes: seconds."""
    seconds = check(given, required={"seconds": (int, float)}, optional={})["seconds"]
    if seconds < 0:
        raise SpecificationError("seconds must not be negative")
    world.latency = seconds
    return {"seconds": seconds}


def _show_clock(world: World, arguments: Arguments) -> Body:
    """The emulator's time, and by how many seconds it is ahead."""
    _known(arguments)
    return {"now": format_time(world.state.now()), "ahead": world.state.ahead.total_seconds()}


def _advance_clock(world: World, given: object) -> Body:
    """Set the clock forward: advance (s)."""
    seconds = check(given, required={"advance": (int, float)}, optional={})["advance"]
    if seconds < 0:
        raise SpecificationError("advance must be seconds forward")
    world.state.ahead += timedelta(seconds=seconds)
    return _show_clock(world, {})


def _show_switches(world: World, arguments: Arguments) -> Body:
    """All switches."""
    _known(arguments)
    return asdict(world.state.switches)


def _patch_switches(world: World, given: object) -> Body:
    """Set switches by name."""
    if not isinstance(given, dict):
        raise SpecificationError("expected a JSON object")
    world.state.switches.patch(given)
    return asdict(world.state.switches)


def _events(world: World, arguments: Arguments) -> Body:
    """All events; filter by event_type, organization_id."""
    wanted = _known(arguments, "event_type", "organization_id")
    rows = [event_object(world.state, event) for event in world.state.events.values()]
    return {"events": [row for row in rows if all(row[key] == value for key, value in wanted.items())]}


def _deliveries(world: World, arguments: Arguments) -> Body:
    """The log of webhook tries; filter by event_id, event_type, organization_id."""
    wanted = _known(arguments, "event_id", "event_type", "organization_id")
    rows = [delivery.describe() for delivery in world.webhooks.log]
    return {
        "deliveries": [row for row in rows if all(row[key] == value for key, value in wanted.items())],
        "held": len(world.webhooks.held),
        "waiting": world.webhooks.waiting,
    }


def _release(world: World, given: object) -> Body:
    """Send the deliveries held back: order (as_is, reversed, shuffled), seed."""
    fields = check(given, required={}, optional={"order": str, "seed": int})
    return {"released": world.webhooks.release(_order(fields), fields.get("seed", 0))}


def _redeliver(world: World, given: object) -> Body:
    """Send events again: events (ids; all when absent), order, seed."""
    fields = check(given, required={}, optional={"events": list, "order": str, "seed": int})
    known = world.state.events
    chosen: list[Event] = [_one(known, event_id, "event") for event_id in fields.get("events", list(known))]
    chosen = [event for event in chosen if event.organization.webhook_url]
    world.webhooks.redeliver(chosen, _order(fields), fields.get("seed", 0))
    return {"redelivered": len(chosen)}


def _order(fields: Body) -> str:
    order = str(fields.get("order", "as_is"))
    if order not in ORDERS:
        raise SpecificationError(f"order must be one of: {', '.join(ORDERS)}")
    return order


def _one(things: Mapping[str, Any], identifier: str, kind: str) -> Any:
    if (key := check_uuid(identifier, f"{kind} id")) not in things:
        raise UnknownError(f"no such {kind}: {identifier}")
    return things[key]


def _known(arguments: Arguments, *names: str) -> dict[str, str]:
    if unknown := sorted(set(arguments) - set(names)):
        raise SpecificationError(f"unknown: {', '.join(unknown)}; known are: {', '.join(names) or 'none'}")
    return dict(arguments)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise SpecificationError(f"path is no regular expression: {error}") from None


_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Body]]] = [
    (method, re.compile(path), serve)
    for method, path, serve in (
        ("POST", "reset", _reset),
        ("POST", "organizations", _create_organization),
        ("PATCH", "organizations/([^/]+)", _update_organization),
        ("POST", "tokens", _create_token),
        ("POST", "templates", _create_template),
        ("POST", "templates/([^/]+)/state", _template_state),
        ("DELETE", "templates/([^/]+)", _delete_template),
        ("POST", "users", _create_user),
        ("POST", "badges/([^/]+)/accept", _accept),
        ("POST", "badges/([^/]+)/reject", _reject),
        ("POST", "badges/([^/]+)/privacy", _privacy),
        ("GET", "ledger", _ledger),
        ("GET", "requests", _requests),
        ("POST", "faults", _add_fault),
        ("GET", "faults", _list_faults),
        ("DELETE", "faults", _clear_faults),
        ("DELETE", "faults/([^/]+)", _delete_fault),
        ("POST", "latency", _latency),
        ("GET", "clock", _show_clock),
        ("POST", "clock", _advance_clock),
        ("GET", "switches", _show_switches),
        ("PATCH", "switches", _patch_switches),
        ("GET", "events", _events),
        ("GET", "webhooks", _deliveries),
        ("POST", "webhooks/release", _release),
        ("POST", "webhooks/redeliver", _redeliver),
    )
]
"""Every control call: method, path under ``/control/``, function."""

CALLS = [(method, path.pattern.replace("([^/]+)", "{id}"), serve.__doc__ or "") for method, path, serve in _ROUTES]
"""The control calls for people: method, path, what it does."""
