"""How one value of an event's payload is compared with the text a rule expects.

Every comparison goes through keys: a payload value has at most one key, an expected text accepts a few,
and the two are equal when the first is among the second. The index of a ruleset files conditions by these
same keys, so what it finds and what `eq` says can never differ.

Source of the meaning: design.md section 4 (the Open edX badges documentation).
"""

from collections.abc import Callable, Mapping
from typing import Final

Key = str | bool
"""What a payload value is compared by: a JSON boolean as itself, everything else as its text."""

_SPELLINGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "True", "yes", "Yes", "+"), True),
    **dict.fromkeys(("false", "False", "no", "No", "-"), False),
}


def parse_boolean(text: str) -> bool | None:
    """Return the boolean that `text` spells, or None when it is not exactly one of the accepted spellings."""
    return _SPELLINGS.get(text)


def value_at(payload: Mapping[str, object], path: str) -> object:
    """Return the value at a dotted key path such as `course.course_key`.

    None stands for a JSON null as well as for a path missing from the payload: neither matches any rule.
    """
    value: object = payload
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def key_of(actual: object) -> Key | None:
    """Return the key of a decoded JSON value, or None for null and containers, which match nothing.

    Numbers become their shortest text: `5` is "5" and `5.0` is "5.0".
    """
    match actual:
        case bool() | str():
            return actual
        case int() | float():
            return str(actual)
        case _:
            return None


def keys_for(expected: str) -> frozenset[Key]:
    """Return the keys equal to an expected text: the text itself and the boolean it spells, if any."""
    boolean = parse_boolean(expected)
    return frozenset({expected} if boolean is None else {expected, boolean})


def eq(actual: object, expected: str) -> bool:
    """Tell whether a payload value is there and equals the expected text."""
    return key_of(actual) in keys_for(expected)


def ne(actual: object, expected: str) -> bool:
    """Tell whether a payload value is there and differs from the expected text."""
    key = key_of(actual)
    return key is not None and key not in keys_for(expected)


OPERATORS: Final[Mapping[str, Callable[[object, str], bool]]] = {"eq": eq, "ne": ne}
"""The operators by the names that configuration uses."""
