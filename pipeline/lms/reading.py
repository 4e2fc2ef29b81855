"""Learner events from JSON lines: `{"id": uuid, "time": ISO 8601, "type": ..., "payload": {...}}`, one to a line."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, get_origin
from uuid import UUID, uuid4

import attrs
from opaque_keys import InvalidKeyError
from openedx_events.event_bus.avro.deserializer import DEFAULT_DESERIALIZERS

from pipeline.bus.catalogue import event_type
from pipeline.bus.codec import can_travel, encode
from pipeline.configuration.places import DocumentError, Problem
from pipeline.lms.events import LmsEvent

_FIELDS = ("id", "time", "type", "payload")
_TYPE_NAMES: dict[type, str] = {
    bool: "a boolean", int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "an object",
}  # fmt: skip

# What is wrong, as path and message.
_Complaints = list[tuple[str, str]]


def read_events(lines: Iterable[str], file: str, types: Collection[str]) -> list[LmsEvent]:
    """All events of a file; empty lines are skipped. ``types`` are the event types allowed.

    ``id`` and ``time`` may be left out: a new id, and now. Payload fields that have a default in openedx-events may be
    left out too.

    Raises:
        DocumentError: with everything that is wrong, each as `FILE:LINE: path: message`; values are not shown, since
            they may be a person's.
    """
    events: list[LmsEvent] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        complaints: _Complaints = []
        event = _read_event(line, types, complaints)
        if event is not None and not complaints:
            events.append(event)
        problems.extend(Problem(file, number, path, message) for path, message in complaints)
    if problems:
        raise DocumentError(problems)
    return events


def _read_event(line: str, types: Collection[str], complaints: _Complaints) -> LmsEvent | None:
    try:
        fields = json.loads(line)
    except ValueError as error:
        complaints.append(("", f"is not JSON: {error}"))
        return None
    if not isinstance(fields, dict):
        complaints.append(("", "must be an object"))
        return None
    complaints.extend((name, f"is unknown; allowed: {', '.join(_FIELDS)}") for name in fields if name not in _FIELDS)
    event_id = _converted(fields, "id", UUID, "a UUID", complaints) if "id" in fields else uuid4()
    time = _converted(fields, "time", _time, "an ISO 8601 time with its zone", complaints) if "time" in fields else None
    name = fields.get("type")
    if not isinstance(name, str) or name not in types:
        complaints.append(("type", f"must be one of {', '.join(sorted(types))}"))
        return None
    if not can_travel(name):
        complaints.append(("type", "names events that cannot travel on the event bus"))
        return None
    complaints.extend(_misfits(getattr(event_type(name), "payload_class", dict), fields.get("payload"), "payload"))
    if complaints:
        return None
    event = LmsEvent(name, event_id, time or datetime.now(UTC), fields["payload"])
    complaints.extend(_unsendable(event))
    return event


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no time zone")
    return time.astimezone(UTC)


def _converted(
    fields: dict[str, Any], name: str, convert: Callable[[str], Any], wanted: str, complaints: _Complaints
) -> Any:
    try:
        return convert(fields[name])
    except (ValueError, TypeError, AttributeError, OverflowError):
        complaints.append((name, f"must be {wanted}"))
        return None


def _misfits(wanted: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where a value is not what the event's classes declare."""
    if attrs.has(wanted):
        yield from _record_misfits(wanted, value, path)
    elif wanted in DEFAULT_DESERIALIZERS:
        if not _is_text_of(wanted, value):
            yield path, f"must be the text of a {wanted.__name__}"
    else:
        kind = get_origin(wanted) or wanted
        if type(value) is not kind and not (kind is float and type(value) is int):
            yield path, f"must be {_TYPE_NAMES.get(kind, kind.__name__)}"


def _record_misfits(record: type, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, "must be an object"
        return
    fields = {field.name: field for field in attrs.fields(record)}
    for name in value.keys() - fields.keys():
        yield f"{path}.{name}", f"is unknown; allowed: {', '.join(fields)}"
    for name, field in fields.items():
        required = field.default is attrs.NOTHING
        if required and name not in value:
            yield f"{path}.{name}", "is missing"
        elif required or value.get(name) is not None:
            yield from _misfits(field.type, value[name], f"{path}.{name}")


def _is_text_of(wanted: type, value: Any) -> bool:
    try:
        return isinstance(DEFAULT_DESERIALIZERS[wanted](value), wanted)
    except (ValueError, TypeError, AttributeError, InvalidKeyError):
        return False


def _unsendable(event: LmsEvent) -> _Complaints:
    """What only the attempt to write the message shows, such as a wrong value inside a list."""
    try:
        encode(event.signal, event.data, event.metadata)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        return [("payload", f"does not fit the event type ({type(error).__name__})")]
    return []
