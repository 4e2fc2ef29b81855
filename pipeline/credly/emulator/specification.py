"""Checking what operators and tests hand to the emulator, so that a slip is told and not ignored."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

Kind = type | tuple[type, ...]


class SpecificationError(ValueError):
    """Input that the emulator cannot use; the message says which field and why."""


def check(given: object, *, required: Mapping[str, Kind], optional: Mapping[str, Kind]) -> dict[str, Any]:
    """The given JSON object, all fields known and of the right kind, else SpecificationError."""
    if not isinstance(given, dict):
        raise SpecificationError("expected a JSON object")
    known = {**required, **optional}
    if missing := sorted(set(required) - set(given)):
        raise SpecificationError(f"missing: {', '.join(missing)}")
    if unknown := sorted(set(given) - set(known)):
        raise SpecificationError(f"unknown: {', '.join(unknown)}; known are: {', '.join(sorted(known))}")
    for name, value in given.items():
        kind = known[name]
        allowed = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and not {bool, object} & set(allowed)):
            names = " or ".join(option.__name__ for option in allowed)
            raise SpecificationError(f"{name} must be {names}")
    return given


def check_uuid(value: object, name: str) -> str:
    """The value as a canonical UUID string, else SpecificationError."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise SpecificationError(f"{name} must be a UUID") from None
