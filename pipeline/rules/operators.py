"""How one value of an event's payload is compared with the text a rule expects.

Equality goes through keys: a payload value has at most one key, an expected text accepts a few, and the two are equal when
the first is among the second. The index of a ruleset files conditions by these same keys, so what it finds and what `eq`
says can never differ.

What is missing from the payload, or null there, satisfies no operator but `exists` with the value false.

Source of the meaning: design.md section 4 (the Open edX badges documentation) for `eq` and `ne`, docs/decisions/0028 for the
others.
"""

import hashlib
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import re2

Key = str | bool
"""What a payload value is compared by: a JSON boolean as itself, everything else as its text."""

Kind = Literal["text", "number", "time"]
"""As what the values at a key path compare: booleans, keys and UUIDs compare as texts do."""

Test = Callable[[object], bool]
"""Tells whether a payload value satisfies a rule."""

LONGEST_TEXT_OF_VALUE: Final = 255
"""Characters of a text by which values are told apart."""

_SPELLINGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "True", "yes", "Yes", "+"), True),
    **dict.fromkeys(("false", "False", "no", "No", "-"), False),
}

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

_PATTERN_OPTIONS: Final = re2.Options()
_PATTERN_OPTIONS.log_errors = False
_PATTERN_OPTIONS.max_mem = 1 << 20  # bytes, a pattern: thousands of templates must fit into a worker


def parse_boolean(text: str) -> bool | None:
    """Return the boolean that `text` spells, or None when it is not exactly one of the accepted spellings."""
    return _SPELLINGS.get(text)


def value_at(payload: Mapping[str, object], path: str) -> object:
    """Return the value at a dotted key path such as `course.course_key`.

    None stands for a JSON null as well as for a path missing from the payload.
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


def text_of(actual: object) -> str | None:
    """Return a payload value as the text by which it is told from others, or None for null and containers.

    Equal numbers have the same text: 5 and 5.0.  A text that is longer than `LONGEST_TEXT_OF_VALUE`, or ends in a blank,
    which some databases leave out when they compare, is replaced by its hash.
    """
    key = key_of(int(actual) if isinstance(actual, float) and actual.is_integer() else actual)
    text = str(key).lower() if isinstance(key, bool) else key
    if text is None or (len(text) <= LONGEST_TEXT_OF_VALUE and text == text.rstrip()):
        return text
    return f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def keys_for(expected: str, kind: Kind = "text") -> frozenset[Key]:
    """Return the keys equal to an expected text: the text itself and the boolean it spells, if any.

    Of a number, both ways in which JSON may write it: 25 and 25.0.
    """
    if kind == "number" and (number := _number_of(expected)) is not None:
        same = [each for each in (int(number), float(number)) if each == number]
        return frozenset({expected, *map(str, same), *([] if number else ["0", "0.0", "-0.0"])})
    boolean = parse_boolean(expected)
    return frozenset({expected} if boolean is None else {expected, boolean})


def parse_number(text: str) -> int | float:
    """Return the number that a text writes in decimal notation.

    Raises ValueError when it writes none, or one beyond the range of floating point.
    """
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{text!r} is not a number")
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _number_of(text: str) -> int | float | None:
    try:
        return parse_number(text)
    except ValueError:
        return None


def parse_time(text: str) -> datetime:
    """Return the time that a text writes in ISO 8601; one without a zone is UTC, as the LMS means it.

    Raises ValueError when it writes none.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def lines(expected: str) -> list[str]:
    """The values that the expected text of `in` and `not_in` lists, one on each line."""
    return [line for line in expected.split("\n") if line]


def keys_demanded(name: str, expected: str, kind: Kind) -> frozenset[Key] | None:
    """The keys of which a payload value must have one to satisfy a rule; None if the rule does not demand certain ones."""
    if kind == "time" or name not in ("eq", "in"):
        return None
    listed = lines(expected) if name == "in" else [expected]
    return frozenset().union(*(keys_for(each, kind) for each in listed))


def compiled(name: str, expected: str, kind: Kind = "text") -> Test:
    """Return the test that an operator makes with an expected text.

    Raises ValueError when there is no such operator for values of this kind, or the expected text does not fit it.
    """
    make = OPERATORS.get(name)
    if make is None:
        raise ValueError(f"unknown operator {name!r}, expected one of {', '.join(OPERATORS)}")
    return make(expected, kind)


def _equal(expected: str, kind: Kind) -> Test:
    if kind == "time" and _time_of(expected) is not None:
        return _ordered(operator.eq)(expected, kind)
    keys = keys_for(expected, kind)
    return lambda actual: key_of(actual) in keys


def _among(expected: str, kind: Kind) -> Test:
    listed = lines(expected)
    if not listed:
        raise ValueError("at least one value is needed")
    tests = [_equal(each, kind) for each in listed]
    return lambda actual: any(test(actual) for test in tests)


def _negated(make: Callable[[str, Kind], Test]) -> Callable[[str, Kind], Test]:
    def negation(expected: str, kind: Kind) -> Test:
        test = make(expected, kind)
        return lambda actual: key_of(actual) is not None and not test(actual)

    return negation


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[str, Kind], Test]:
    def comparison(expected: str, kind: Kind) -> Test:
        if kind == "number":
            number = parse_number(expected)
            return lambda actual: _is_number(actual) and compare(actual, number)
        if kind == "time":
            time = parse_time(expected)
            return lambda actual: (found := _time_of(actual)) is not None and compare(found, time)
        raise ValueError("only numbers and times can be greater or less")

    return comparison


def _is_number(actual: object) -> bool:
    return isinstance(actual, int | float) and not isinstance(actual, bool)


def _time_of(actual: object) -> datetime | None:
    try:
        return parse_time(actual) if isinstance(actual, str) else None
    except ValueError:
        return None


def _containing(expected: str, _kind: Kind) -> Test:
    return lambda actual: isinstance(actual, str) and expected in actual


def _starting(expected: str, _kind: Kind) -> Test:
    return lambda actual: isinstance(actual, str) and actual.startswith(expected)


def _matching(expected: str, _kind: Kind) -> Test:
    try:
        pattern = re2.compile(expected, options=_PATTERN_OPTIONS)
    except re2.error as error:
        raise ValueError(f"{expected!r} is not a regular expression: {_words(error)}") from None

    def matching(actual: object) -> bool:
        # Half of a surrogate pair, which JSON lets through, can't be handed to the engine.
        return isinstance(actual, str) and pattern.fullmatch(actual.encode(errors="replace").decode()) is not None

    return matching


def _words(error: Exception) -> str:
    [reason, *_] = error.args
    return reason.decode() if isinstance(reason, bytes) else str(reason)


def _existing(expected: str, _kind: Kind) -> Test:
    wanted = parse_boolean(expected)
    if wanted is None:
        raise ValueError(f"{expected!r} is neither true nor false")
    return lambda actual: (actual is not None) is wanted


OPERATORS: Final[Mapping[str, Callable[[str, Kind], Test]]] = {
    "eq": _equal,
    "ne": _negated(_equal),
    "gt": _ordered(operator.gt),
    "ge": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "le": _ordered(operator.le),
    "in": _among,
    "not_in": _negated(_among),
    "contains": _containing,
    "starts_with": _starting,
    "matches": _matching,
    "exists": _existing,
}
"""What makes the test of each operator, by the names that configuration uses."""
