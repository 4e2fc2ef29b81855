"""The event catalogue: the Open edX events that tell something about a learner, and the paths inside their payloads.

Everything is read from the definitions of ``openedx-events``; nothing about an event is written down here twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs
from django.conf import settings
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx_events.learning.data import UserData
from openedx_events.tooling import OpenEdxPublicSignal, load_all_signals

from pipeline.rules import Kind

# Ordered: bool is a subclass of int.
_TYPE_WORDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "text"),
    (datetime, "time"),
    (CourseKey, "course key"),
    (UsageKey, "usage key"),
    (UUID, "UUID"),
)

_KINDS: Mapping[str, Kind] = {"integer": "number", "number": "number", "time": "time"}


@dataclass(frozen=True)
class EventType:
    """One kind of event about a learner.

    ``payload_name`` is the name of the signal's single data argument and ``payload_class`` the attrs class of its
    value; ``key_paths`` maps each dotted path of a single value inside the payload to its Python type (lists and
    dictionaries have none); ``user_path`` leads from the payload to its ``UserData``, "" when the payload is one.
    """

    name: str
    signal: OpenEdxPublicSignal
    payload_name: str
    payload_class: type
    key_paths: Mapping[str, type]
    user_path: str

    def written_forms(self, path: str) -> set[str]:
        """How a path of the payload may be written in ``ignored_keypaths``.

        From the payload (``user.pii.email``), from the signal's data (``course_passing_status.user.pii.email``), and,
        below the learner, from ``user``, whatever the learner is called in this payload (``student_user.pii.email``).
        """
        forms = {path, f"{self.payload_name}.{path}"}
        if self.user_path and path.startswith(f"{self.user_path}."):
            forms.add(f"user.{path.removeprefix(f'{self.user_path}.')}")
        return forms


@cache
def _signals() -> Mapping[str, OpenEdxPublicSignal]:
    load_all_signals()
    return {signal.event_type: signal for signal in OpenEdxPublicSignal.all_events()}


def find_signal(name: str) -> OpenEdxPublicSignal | None:
    """The signal of an event type, whether or not it tells about a learner; None when there is no such type."""
    return _signals().get(name)


@cache
def event_types() -> Mapping[str, EventType]:
    """Every event type whose payload holds a ``UserData``, by name."""
    described = (_describe(signal) for signal in _signals().values())
    return MappingProxyType({event.name: event for event in described if event is not None})


def event_type(name: str) -> EventType | None:
    """The event type of this name; None when it is unknown or tells nothing about a learner."""
    return event_types().get(name)


def badge_event_types() -> Mapping[str, EventType]:
    """The event types that badges may be built on: those in ``BADGES_CONFIG["events"]``, in that order.

    Names that do not exist or have no learner are left out; the system check ``badges.E001`` reports them.
    """
    names: list[str] = settings.BADGES_CONFIG["events"]
    return {name: event_types()[name] for name in names if name in event_types()}


def key_paths(name: str) -> dict[str, str]:
    """The paths of an event type that a rule may compare, each with a word for its type ("boolean", "text", ...).

    Leaves out ``BADGES_CONFIG["rules"]["ignored_keypaths"]``, in any of the forms of `EventType.written_forms`.

    Raises KeyError when the event type is unknown.
    """
    event = event_types()[name]
    ignored = set(settings.BADGES_CONFIG["rules"]["ignored_keypaths"])
    return {path: _type_word(leaf) for path, leaf in event.key_paths.items() if not ignored & event.written_forms(path)}


def kinds(name: str) -> dict[str, Kind]:
    """As what the values at an event type's paths compare, those that are ignored included; nothing for an unknown type."""
    event = event_type(name)
    return {path: _KINDS.get(_type_word(leaf), "text") for path, leaf in event.key_paths.items()} if event else {}


def user_of(name: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The learner in a decoded payload: ``{"id", "is_active", "pii": {"username", "email", "name"}}``.

    None when the event type has no learner, the learner is absent or malformed. Well-formed means: ``id`` a positive
    integer, ``is_active`` a boolean, ``username`` a non-empty text, ``email`` a text, ``name`` a text or absent.
    Where an event names several people, the learner is the first one that its class declares
    (``student_user`` of an exam attempt, not who requested it).
    """
    event = event_type(name)
    if event is None:
        return None
    user: Any = payload
    for step in event.user_path.split(".") if event.user_path else ():
        user = user.get(step) if isinstance(user, Mapping) else None
    return user if _is_user(user) else None


def _is_user(user: Any) -> bool:
    if not isinstance(user, Mapping) or not isinstance(user.get("pii"), Mapping):
        return False
    user_id, pii = user.get("id"), user["pii"]
    return (
        isinstance(user_id, int)
        and not isinstance(user_id, bool)
        and user_id > 0
        and isinstance(user.get("is_active"), bool)
        and isinstance(pii.get("username"), str)
        and pii["username"] != ""
        and isinstance(pii.get("email"), str)
        and isinstance(pii.get("name", ""), str)
    )


def _describe(signal: OpenEdxPublicSignal) -> EventType | None:
    if len(signal.init_data) != 1:
        return None
    [(payload_name, payload_class)] = signal.init_data.items()
    user_path = _user_path(payload_class)
    if user_path is None:
        return None
    return EventType(
        name=signal.event_type,
        signal=signal,
        payload_name=payload_name,
        payload_class=payload_class,
        key_paths=MappingProxyType(dict(_leaves(payload_class))),
        user_path=user_path,
    )


def _user_path(payload_class: type) -> str | None:
    """The path of the shallowest, then first declared ``UserData``."""
    level = [("", payload_class)]
    while level:
        for path, data_class in level:
            if issubclass(data_class, UserData):
                return path
        level = [
            (f"{path}.{field.name}".lstrip("."), field.type)
            for path, data_class in level
            for field in attrs.fields(data_class)
            if _is_record(field.type)
        ]
    return None


def _leaves(data_class: type, prefix: str = "") -> Iterator[tuple[str, type]]:
    for field in attrs.fields(data_class):
        if _is_record(field.type):
            yield from _leaves(field.type, f"{prefix}{field.name}.")
        elif isinstance(field.type, type) and issubclass(field.type, tuple(known for known, _ in _TYPE_WORDS)):
            yield f"{prefix}{field.name}", field.type


def _is_record(data_type: Any) -> bool:
    return isinstance(data_type, type) and attrs.has(data_type)


def _type_word(leaf: type) -> str:
    return next(word for known, word in _TYPE_WORDS if issubclass(leaf, known))
