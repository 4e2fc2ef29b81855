"""Lengths and limits of time as people write them: `90d`, `2026-03-01`, `2026-03-01T12:00:00+01:00`."""

import re
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_DURATION = re.compile(r"([1-9][0-9]{0,9})([wdhms])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

LONGEST = timedelta(days=36_525)
"""A century: what is longer is a slip of the hand."""

YEARS = range(1970, 9999)
"""Those of which every database takes a time."""


def duration(text: str) -> timedelta:
    """Return the length of time that a text such as `90d`, `2w`, `12h`, `30m` or `45s` writes.

    Raises ValueError, with words for people, when it writes none or more than a century.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(
            _("“%(text)s” is no length of time. Write a number and w, d, h, m or s, such as 90d.") % {"text": text}
        )
    number, unit = int(found[1]), _UNITS[found[2]]
    if number > LONGEST // unit:
        raise ValueError(_("“%(text)s” is longer than a century.") % {"text": text})
    return number * unit


def written(length: timedelta) -> str:
    """Return the text of which `duration` makes this length, in the greatest unit that divides it; days, never weeks."""
    unit = next(unit for unit in "dhms" if unit == "s" or not length % _UNITS[unit])
    return f"{length // _UNITS[unit]}{unit}"


def start(text: str) -> datetime:
    """Return the time from which on something counts: that of the text, of a date its first moment in UTC.

    Raises ValueError, with words for people, for what is neither a date nor a time with a zone.
    """
    return _time(text)


def end(text: str) -> datetime:
    """Return the time before which something counts: that of the text, of a date the first moment after it in UTC.

    Raises ValueError, with words for people, for what is neither a date nor a time with a zone.
    """
    return _time(text) + (timedelta(days=1) if _DATE.fullmatch(text) else timedelta())


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            _("“%(text)s” is neither a date such as 2026-03-01 nor a time such as 2026-03-01T12:00:00Z.")
            % {"text": text}
        ) from None
    if time.tzinfo is None and not _DATE.fullmatch(text):
        raise ValueError(_("“%(text)s” has no time zone. Add Z for UTC, or an offset such as +02:00.") % {"text": text})
    if time.year not in YEARS:
        raise ValueError(_("“%(text)s” is not between the years 1970 and 9998.") % {"text": text})
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
