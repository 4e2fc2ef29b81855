"""Who passed which course and when, from a CSV of the LMS's: each line becomes the event that the LMS would have sent.

What the list does not know of a course, such as its name, is missing from the event, so that no rule takes it for a value.
The id of an event follows from what the line says, so a line that comes again is the same event.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from opaque_keys import InvalidKeyError

from pipeline import rules
from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers.learners import LONGEST_USERNAME
from pipeline.lms.events import LmsLearner, course_key, passing_event

COLUMNS = ("username", "email", "name", "lms_user_id", "course_key", "is_passing", "time")
SOURCE = "import_history"
NAMESPACE = UUID("f1f6d6b4-6b0e-5f1c-9a53-8d0c2e0f7a11")
"""Of the ids: never to change, for then a second import would make other events."""

KNOWN_OF_COURSES = frozenset({"course_key", "ccx_course_key", "master_course_key"})
"""What the list tells of a course, as events name it."""

LONGEST_SHOWN = 200
"""Characters of a wrong value or first line that are shown."""

LARGEST_ID = 2**63 - 1
YEARS = range(1970, 9999)
_PASSING = {"1": True, "0": False}


class BadFile(Exception):
    """The file is no such CSV.  The message says why, in one line."""


class BadValue(NamedTuple):
    """What is wrong on a line: the column, what stands there, and what is allowed."""

    line: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.column}: {_shown(self.value)} is not allowed; it must be {self.allowed}"


def read(file: Path) -> Iterator[DecodedMessage | BadValue]:
    """Each line as the message that the consumer would have decoded, or the first thing that is wrong with it.

    The file is read as it goes, however long it is.

    Raises:
        BadFile: it can't be read, or not twice, is not UTF-8, or does not begin with the names of the columns.
    """
    try:
        if file.exists() and not file.is_file():
            raise BadFile(f"{file} is no regular file, and it is read twice: save what it gives as a file first")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream, strict=True)
            if sorted(lines.fieldnames or ()) != sorted(COLUMNS):
                found = _shown(",".join(lines.fieldnames or ()))
                raise BadFile(
                    f"The first line of {file} must name the columns, separated by commas: {','.join(COLUMNS)}; it has {found}"
                )
            for row in lines:
                yield _message(row, lines.line_num)
    except OSError as error:
        raise BadFile(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{file} is not written in UTF-8") from error
    except csv.Error as error:
        raise BadFile(f"{file}, from line {lines.line_num + 1} on: this is no CSV: {error}") from error


def _shown(text: str) -> str:
    cut = f"... ({len(text):,} characters)" if len(text) > LONGEST_SHOWN else ""
    return f"{text[:LONGEST_SHOWN]!r}{cut}"


def _message(row: Mapping[str | None, Any], line: int) -> DecodedMessage | BadValue:
    if None in row or None in row.values():
        found = sum(value is not None for value in row.values()) if None not in row else "more"
        return BadValue(line, "the line", f"{found} values", f"one of {len(COLUMNS)} values")
    values: dict[str, Any] = {}
    for column, (convert, allowed) in _COLUMNS.items():
        try:
            values[column] = convert(row[column])
        except (ValueError, ValidationError, InvalidKeyError, OverflowError):
            return BadValue(line, column, row[column], allowed)
    return _event(values, line)


def _event(values: Mapping[str, Any], line: int) -> DecodedMessage:
    learner = LmsLearner(values["lms_user_id"], values["username"], values["email"], values["name"])
    course, passing, time = values["course_key"], values["is_passing"], values["time"]
    event_id = uuid5(NAMESPACE, f"{learner.id}\n{course}\n{passing}\n{time.isoformat()}")
    event = passing_event(learner, course, passing, time, event_id)
    known = {name: value for name, value in event.payload["course"].items() if name in KNOWN_OF_COURSES}
    return DecodedMessage(
        id=event.id,
        type=event.type,
        time=event.time,
        source=SOURCE,
        minorversion=event.signal.minor_version,
        payload=event.payload | {"course": known},
        position=f"line {line}",
    )


def _username(text: str) -> str:
    if not text or len(text) > LONGEST_USERNAME:
        raise ValueError
    return _storable(text)


def _email(text: str) -> str:
    validate_email(text)
    return _storable(text)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text


def _id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= LARGEST_ID:
        raise ValueError
    return int(text)


def _course(text: str) -> str:
    return str(course_key(text))


def _passing(text: str) -> bool:
    found = _PASSING.get(text, rules.parse_boolean(text.capitalize()))
    if found is None:
        raise ValueError
    return found


def _time(text: str) -> datetime:
    time = rules.parse_time(text).astimezone(UTC)
    if time.year not in YEARS or time > timezone.now():
        raise ValueError
    return time


_COLUMNS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "username": (_username, f"a username of at most {LONGEST_USERNAME} characters"),
    "email": (_email, "an e-mail address"),
    "name": (_storable, "a name"),
    "lms_user_id": (_id, "the user's id in the LMS, a whole number from 1"),
    "course_key": (_course, "a course key such as course-v1:OpenedX+DemoX+Demo_Course"),
    "is_passing": (_passing, "true or false"),
    "time": (_time, "a time in the past such as 2024-05-01T12:00:00Z; without a zone it is UTC"),
}
