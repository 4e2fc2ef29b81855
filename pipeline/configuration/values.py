"""What a rule's value must look like at a key path of a type, or no event would ever match; text takes any.

Numbers and times compare as such. All else compares as text, and the LMS writes one text for each: `str` of keys and UUIDs
(`openedx_events/event_bus/avro/custom_serializers.py`).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

from pipeline.rules import parse_boolean, parse_number

_DAY = len("2026-05-01")


def _is_boolean(text: str) -> bool:
    return parse_boolean(text) is not None


def _is_integer(text: str) -> bool:
    number = parse_number(text)
    return number == int(number)


def _is_number(text: str) -> bool:
    parse_number(text)
    return True


def _is_time(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


def _is_course_key(text: str) -> bool:
    return str(CourseKey.from_string(text)) == text


def _is_usage_key(text: str) -> bool:
    return str(UsageKey.from_string(text)) == text


def _is_uuid(text: str) -> bool:
    return str(UUID(text)) == text


_FITS: Mapping[str, tuple[Callable[[str], bool], str | Promise]] = {
    "boolean": (_is_boolean, "true True yes Yes +, false False no No -"),
    "integer": (_is_integer, _("a whole number such as 25")),
    "number": (_is_number, _("a number such as 25 or 0.5")),
    "time": (_is_time, _("a time with its zone, such as 2026-05-01T12:00:00+00:00")),
    "course key": (_is_course_key, _("a course key such as course-v1:OpenedX+DemoX+Demo_Course")),
    "usage key": (_is_usage_key, _("a usage key such as block-v1:OpenedX+DemoX+Demo_Course+type@problem+block@final")),
    "UUID": (_is_uuid, _("a UUID in lower case such as 0f1e2d3c-4b5a-4678-9a0b-1c2d3e4f5a6b")),
}


def allowed_instead(type_word: str, text: str) -> str | None:
    """What is allowed at a key path of this type, in words, if the text does not fit it; None if it does.

    Args:
        type_word: the type's word in `bus.catalogue.key_paths`.
        text: a rule's value.
    """
    if type_word not in _FITS:
        return None
    fits, allowed = _FITS[type_word]
    try:
        return None if fits(text) else str(allowed)
    except (ValueError, InvalidKeyError):
        return str(allowed)


def with_zone(type_word: str, text: str) -> str:
    """A rule's value as it runs: a time that is written without a zone is one of UTC; any other text is as it is.

    A day alone is no time.  Files of before may have such times, and so may the tables.

    Args:
        type_word: the type's word in `bus.catalogue.key_paths` or `bus.catalogue.kinds`.
        text: a rule's value.
    """
    if type_word != "time" or len(text) <= _DAY:
        return text
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if time.tzinfo else time.replace(tzinfo=UTC).isoformat()
