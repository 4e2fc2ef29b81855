"""From a call to its answer: who calls, may they, and which function serves it."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tornado.httputil import parse_body_arguments

from pipeline.credly.emulator.call import Answer, Call
from pipeline.credly.emulator.errors import RefusalError, not_found
from pipeline.credly.emulator.records import Token
from pipeline.credly.emulator.resources import badges, events, organizations, templates


@dataclass(frozen=True)
class Route:
    """A method and path, the token flag that it needs, and the function that serves it."""

    method: str
    path: re.Pattern[str]
    flag: str
    serve: Callable[[Call], Answer]


def _route(method: str, path: str, flag: str, serve: Callable[[Call], Answer]) -> Route:
    return Route(method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), flag, serve)


_ORGANIZATION = "/organizations/{organization}"
_TOKENS = f"{_ORGANIZATION}/authorization_tokens"
_TEMPLATES = f"{_ORGANIZATION}/badge_templates"
_BADGES = f"{_ORGANIZATION}/badges"

ROUTES = (
    _route("POST", _BADGES, "write", badges.issue_badge),
    _route("GET", _BADGES, "read", badges.list_badges),
    _route("POST", f"{_BADGES}/batch", "write", badges.issue_batch),
    _route("GET", f"{_BADGES}/{{badge}}", "read", badges.get_badge),
    _route("DELETE", f"{_BADGES}/{{badge}}", "delete", badges.delete_badge),
    _route("PUT", f"{_BADGES}/{{badge}}/revoke", "write", badges.revoke_badge),
    _route("POST", f"{_BADGES}/{{badge}}/replace", "write", badges.replace_badge),
    _route("GET", f"{_ORGANIZATION}/high_volume_issued_badge_search", "read", badges.search_badges),
    _route("GET", _TEMPLATES, "read", templates.list_templates),
    _route("POST", _TEMPLATES, "write", templates.create_template),
    _route("GET", f"{_TEMPLATES}/{{template}}", "read", templates.get_template),
    _route("PUT", f"{_TEMPLATES}/{{template}}", "write", templates.update_template),
    _route("DELETE", f"{_TEMPLATES}/{{template}}", "delete", templates.delete_template),
    _route("GET", f"{_ORGANIZATION}/events", "read", events.list_events),
    _route("GET", f"{_ORGANIZATION}/events/{{event}}", "read", events.get_event),
    _route("GET", "/organizations", "read", organizations.list_organizations),
    _route("GET", _ORGANIZATION, "read", organizations.get_organization),
    _route("PUT", _ORGANIZATION, "write", organizations.update_organization),
    _route("GET", _TOKENS, "read", organizations.list_tokens),
    _route("POST", _TOKENS, "write", organizations.create_token),
    _route("POST", f"{_TOKENS}/rotate", "write", organizations.rotate_token),
)


def answer(call: Call) -> Answer:
    """Serve the call, effect and all; whatever Credly refuses becomes its error answer.

    Steps: recognise the token; find the path; check organization and flag; read the body; act.
    Repeating a call is as safe as it is with Credly itself.
    """
    try:
        call.token = _authenticate(call)
        route = _find(call)
        _authorize(call, route)
        if call.method in ("POST", "PUT"):
            call.body = read_body(call)
        return route.serve(call)
    except RefusalError as refusal:
        return refused(call, refusal)


def refused(call: Call, refusal: RefusalError) -> Answer:
    """The refusal as an answer; the form of a 401 is behind a switch."""
    form = call.state.switches.unauthorized_body if refusal.status == 401 else "json"
    if form == "json":
        return Answer(refusal.status, refusal.body())
    return Answer(401, "" if form == "empty" else "Unauthorized", {"Content-Type": "text/plain"})


def read_body(call: Call) -> dict[str, Any]:
    """The fields of the call, from JSON, form or multipart, over those of the query.

    Credly is that lenient (facts/credly-api.md, section 2). Raises RefusalError 400.
    """
    fields: dict[str, Any] = {name: values[-1] for name, values in call.arguments.items()}
    if not call.raw:
        return fields
    if "json" in call.content_type or not call.content_type:
        try:
            given = json.loads(call.raw)
        except ValueError:
            raise RefusalError(400, "Bad Request: the body is not JSON") from None
        if not isinstance(given, dict):
            raise RefusalError(400, "Bad Request: the body is not a JSON object")
        return fields | given
    return fields | _read_form(call)


def _read_form(call: Call) -> dict[str, str]:
    if call.content_type.startswith("application/x-www-form-urlencoded"):
        parsed = parse_qs(call.raw.decode(errors="replace"), keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}
    arguments: dict[str, list[bytes]] = {}
    try:
        parse_body_arguments(call.content_type, call.raw, arguments, {})
    except ValueError:
        raise RefusalError(400, "Bad Request: the body cannot be read") from None
    return {name: values[-1].decode(errors="replace") for name, values in arguments.items()}


def _authenticate(call: Call) -> Token:
    value = _credential(call)
    token = call.state.tokens.get(value)
    if token is None or token.expires_at <= call.state.now():
        raise RefusalError(401, "Unauthorized")
    return token


def _credential(call: Call) -> str:
    """The token that the caller shows: Basic with any password or none, or Bearer (section 3)."""
    scheme, _, value = call.authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        name, colon, _ = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return ""
    return name if colon or call.state.switches.basic_without_colon else ""


def _find(call: Call) -> Route:
    for route in ROUTES:
        if route.method == call.method and (found := route.path.fullmatch(call.path)):
            call.ids = {kind: value.lower() for kind, value in found.groupdict().items()}
            return route
    raise not_found("Path")


def _authorize(call: Call, route: Route) -> None:
    organization_id = call.ids.get("organization", call.token.organization_id)
    organization = call.state.organizations.get(organization_id)
    if organization is None:
        raise not_found("Organization")
    enabled = getattr(call.token, f"{route.flag}_enabled") or not call.state.switches.enforce_token_flags
    if organization.id != call.token.organization_id or not enabled:
        raise RefusalError(403, "You are not authorized to perform this action")
    call.organization = organization
