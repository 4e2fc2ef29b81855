"""An event as a person writes it down: its payload, the signal's data, or the whole event, as JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from django.utils.translation import gettext as _

from pipeline.bus import catalogue
from pipeline.bus.codec import can_travel
from pipeline.configuration.places import DocumentError
from pipeline.lms.reading import read_events
from pipeline.reports.trial import NO_ID

T = TypeVar("T")

_FIELDS = ("id", "time", "type", "payload")


class Unreadable(ValueError):
    """The text is no event.  The message is for people."""


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """What `pipeline.reports.trial.try_event` takes; `time` None means that none was written."""

    type: str
    payload: dict[str, Any]
    time: datetime | None = None
    id: UUID = NO_ID


def read(text: str, event_type: str = "") -> WrittenEvent:
    """The event in a text of one of three forms.

    The payload itself; the signal's data, such as `{"course_passing_status": {...}}`; or the whole event
    `{"type": ..., "payload": ..., "time": ..., "id": ...}` as `produce_events --file` takes it, of which `time` and `id` may
    be left out.  `event_type` is the type where the text names none.

    Raises:
        Unreadable: it is none of these; says where.
    """
    fields = _object(text)
    if "payload" not in fields and "type" not in fields:
        fields = {"payload": fields}
    for name in fields:
        if name not in _FIELDS:
            raise Unreadable(
                _("%(name)s: is unknown; allowed: %(allowed)s") % {"name": name, "allowed": ", ".join(_FIELDS)}
            )
    name = fields.get("type", event_type)
    if not isinstance(name, str) or not name:
        raise Unreadable(_('type: must be the name of an event type; write the event as {"type": ..., "payload": ...}'))
    return WrittenEvent(
        type=name,
        payload=_payload(fields.get("payload"), name),
        time=_converted(fields["time"], _time, "time", _("an ISO 8601 time with its zone"))
        if "time" in fields
        else None,
        id=_converted(fields["id"], UUID, "id", _("a UUID")) if "id" in fields else NO_ID,
    )


def misfits(event: WrittenEvent) -> list[str]:
    """Why no such event could come over the event bus: where its payload is not what the event type declares."""
    if catalogue.event_type(event.type) is None:
        return []
    if not can_travel(event.type):
        return [_("Events of this type cannot travel on the event bus.")]
    try:
        read_events([json.dumps({"type": event.type, "payload": event.payload})], "", [event.type])
    except DocumentError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "message": error.msg}
        raise Unreadable(_("This is not JSON: line %(line)s, column %(column)s: %(message)s.") % place) from None
    except UnicodeEncodeError:
        raise Unreadable(_("This is not JSON: it holds half of a character.")) from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else _("it is nested too deeply")
        raise Unreadable(_("This is not JSON: %(reason)s.") % {"reason": reason}) from None
    if not isinstance(value, dict):
        raise Unreadable(_("This must be a JSON object: {...}."))
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(_("%(name)s is no number") % {"name": name})


def _payload(value: object, event_type: str) -> dict[str, Any]:
    """The payload itself, also out of the signal's data."""
    known = catalogue.event_type(event_type)
    if known is not None and isinstance(value, dict) and value.keys() == {known.payload_name}:
        value = value[known.payload_name]
    if not isinstance(value, dict):
        raise Unreadable(_("payload: must be a JSON object: {...}"))
    return value


def _converted(value: object, convert: Callable[[str], T], name: str, wanted: str) -> T:
    try:
        if isinstance(value, str):
            return convert(value)
    except (ValueError, OverflowError):
        pass
    raise Unreadable(_("%(name)s: must be %(wanted)s") % {"name": name, "wanted": wanted})


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no time zone")
    return time.astimezone(UTC)
