"""An example payload of any event type, built from the classes of openedx-events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, get_origin
from uuid import UUID

import attrs
from ccx_keys.locator import CCXLocator
from django.utils import timezone
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

from pipeline.bus import catalogue
from pipeline.lms.generation import made_up_learner
from pipeline.models import Requirement, Rule
from pipeline.rules import Kind, compiled, lines, parse_number, parse_time, value_at

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

# A text itself, and frames that make a course key or a usage key of a part.
_FRAMES = (
    "{}",
    "{}X",
    "{}+X",
    "{}X+X",
    "{}+X+X",
    "{}X+X+X",
    "course-v1:{}+X+X",
    "course-v1:X+{}+X",
    "course-v1:X+X+{}",
    "course-v1:X+X{}",
    "{}+type@problem+block@exam",
    "block-v1:{}+type@problem+block@exam",
    "other than {}",
)

NOBODY = 999_999_999
"""LMS user id of the learner in examples: hardly anybody's, or the trial would tell of that person's badge."""


def example_payload(event_type: catalogue.EventType, rules: Iterable[Rule] = ()) -> dict[str, Any]:
    """A payload of that type about a made-up learner, with values that satisfy these rules as far as any can be found.

    None is made up for a regular expression: then the value of an event without rules stays, unless it is written out in it.
    """
    payload = _record(event_type.payload_class)
    _put(payload, event_type.user_path, _user())
    by_path: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_path[rule.data_path].append(rule)
    for path, of_path in by_path.items():
        kind = event_type.key_paths.get(path)
        if kind is not None:
            _put(
                payload,
                path,
                _satisfying(value_at(payload, path), kind, of_path, catalogue.kinds(event_type.name)[path]),
            )
    return payload


def example_time(requirement: Requirement) -> datetime | None:
    """A time of which an event counts for the requirement; None if one of now does."""
    now = timezone.now()
    if requirement.counts_until and requirement.counts_until <= now:
        return requirement.counts_from or requirement.counts_until - timedelta(days=1)
    if requirement.counts_from and requirement.counts_from > now:
        return requirement.counts_from
    return None


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


def _satisfying(usual: Any, kind: type, rows: Iterable[Rule], compared_as: Kind) -> Any:
    """A value of this type that satisfies all rules of a key path; the usual one if none is found."""
    rows = list(rows)
    try:
        tests = [compiled(row.operator, row.value, compared_as) for row in rows]
    except ValueError:
        return usual
    near = [value for row in rows for text in lines(row.value) for value in _near(kind, text)]
    candidates = [usual, *near, *(value for known, value in _VALUES if issubclass(kind, known)), None]
    return next((each for each in candidates if all(test(each) for test in tests)), usual)


def _near(kind: type, text: str) -> Iterator[Any]:
    """Values of this type at or close to the one that a text writes, or that have it in them."""
    if issubclass(kind, bool):
        yield from (True, False)
    elif issubclass(kind, int | float):
        yield from _near_number(kind, text)
    elif issubclass(kind, datetime):
        yield from _near_time(text)
    else:
        yield from (written for each in _FRAMES if _fits(kind, written := each.format(text)))


def _near_number(kind: type, text: str) -> Iterator[int | float]:
    try:
        number = parse_number(text)
    except ValueError:
        return
    yield from (kind(each) for each in (number, number + 1, number - 1))


def _near_time(text: str) -> Iterator[str]:
    try:
        time = parse_time(text)
        yield from (each.isoformat() for each in (time, time + timedelta(days=1), time - timedelta(days=1)))
    except (ValueError, OverflowError):
        return


def _fits(kind: type, text: str) -> bool:
    """Whether a text is one of this type, as far as that can be told apart."""
    try:
        return (
            bool(kind.from_string(text))
            if issubclass(kind, CourseKey | UsageKey)
            else bool(not issubclass(kind, UUID) or UUID(text))
        )
    except (InvalidKeyError, ValueError):
        return False


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Set what is at a path; the path "" is the whole payload."""
    *way, last = path.split(".")
    for step in way:
        payload = payload[step]
    if last:
        payload[last] = value
    else:
        payload.update(value)
