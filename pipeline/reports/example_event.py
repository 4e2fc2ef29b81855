"""An example payload of any event type, built from the classes of openedx-events."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, get_origin
from uuid import UUID

import attrs
from ccx_keys.locator import CCXLocator
from opaque_keys.edx.keys import CourseKey, UsageKey

from pipeline.bus import catalogue
from pipeline.lms.generation import made_up_learner
from pipeline.models import Rule
from pipeline.rules import parse_boolean

# Ordered: each type before the one it is a subclass of.
_VALUES: tuple[tuple[type, Any], ...] = (
    (bool, True),
    (int, 1),
    (float, 1.0),
    (datetime, "2026-01-01T00:00:00+00:00"),
    (CCXLocator, "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"),
    (CourseKey, "course-v1:OpenedX+DemoX+Demo_Course"),
    (UsageKey, "block-v1:OpenedX+DemoX+Demo_Course+type@problem+block@exam"),
    (UUID, "00000000-0000-4000-8000-000000000001"),
)

NOBODY = 999_999_999
"""LMS user id of the learner in examples: hardly anybody's, or the trial would tell of that person's badge."""


def example_payload(event_type: catalogue.EventType, rules: Iterable[Rule] = ()) -> dict[str, Any]:
    """A payload of that type about a made-up learner, with the values that these rules expect where they say `=`."""
    payload = _record(event_type.payload_class)
    _put(payload, event_type.user_path, _user())
    for rule in rules:
        value = _value(event_type.key_paths.get(rule.data_path), rule.value)
        if rule.operator == "eq" and value is not None:
            _put(payload, rule.data_path, value)
    return payload


def _record(data_class: type) -> dict[str, Any]:
    return {field.name: _field(field) for field in attrs.fields(data_class)}


def _field(field: "attrs.Attribute[Any]") -> Any:
    kind: type = get_origin(field.type) or field.type or object
    if attrs.has(kind):
        return _record(kind)
    if field.default is None:
        return None
    if kind in (list, dict):
        return kind()
    return next((value for known, value in _VALUES if issubclass(kind, known)), field.name)


def _user() -> dict[str, Any]:
    learner = made_up_learner(NOBODY)
    pii = {"username": learner.username, "email": learner.email, "name": learner.name}
    return {"id": learner.id, "is_active": True, "pii": pii}


def _value(kind: type | None, expected: str) -> Any:
    """The value of this type that a rule's text equals; None if there is none or the path holds no single value."""
    if kind is None:
        return None
    if issubclass(kind, bool):
        return parse_boolean(expected)
    if issubclass(kind, int):
        return int(expected) if expected.isdecimal() else None
    return expected


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Set what is at a path; the path "" is the whole payload."""
    *way, last = path.split(".")
    for step in way:
        payload = payload[step]
    if last:
        payload[last] = value
    else:
        payload.update(value)
