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

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Of the times between them, these included, every database takes each."""

_DAY = timedelta(days=1)


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

    Raises ValueError, with words for people, for what is neither a date nor a time with a zone, or of another age.
    """
    return _time(text, timedelta())


def end(text: str) -> datetime:
    """Return the time before which something counts: that of the text, of a date the first moment after it in UTC.

    Raises ValueError, with words for people, for what is neither a date nor a time with a zone, or of another age.
    """
    return _time(text, _DAY)


def written_start(time: datetime) -> str:
    """Return the text of which `start` makes this time: a date, if that says it."""
    return _written(time, timedelta())


def written_end(time: datetime) -> str:
    """Return the text of which `end` makes this time: a date, if that says it."""
    return _written(time, _DAY)


def _written(time: datetime, after_date: timedelta) -> str:
    utc = time.astimezone(UTC)
    is_date = utc.time() == EARLIEST.time() and utc - after_date >= EARLIEST
    return (utc - after_date).date().isoformat() if is_date else utc.isoformat()


def _time(text: str, after_date: timedelta) -> datetime:
    """The time of a text, in UTC; of a date, so long after its first moment."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            _("“%(text)s” is neither a date such as 2026-03-01 nor a time such as 2026-03-01T12:00:00Z.")
            % {"text": text}
        ) from None
    is_date = _DATE.fullmatch(text) is not None
    if time.tzinfo is None and not is_date:
        raise ValueError(_("“%(text)s” has no time zone. Add Z for UTC, or an offset such as +02:00.") % {"text": text})
    aware = time.replace(tzinfo=UTC) if is_date else time
    later = after_date if is_date else timedelta()
    if not EARLIEST <= aware <= LATEST - later:
        raise ValueError(_("“%(text)s” is not between the years 1970 and 9998, in UTC.") % {"text": text})
    return aware.astimezone(UTC) + later
