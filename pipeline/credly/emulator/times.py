"""Timestamps as Credly reads and writes them (facts/credly-api.md, section 2)."""

import re
from datetime import UTC, datetime

_TWELVE_HOUR = "%Y-%m-%d %I:%M:%S %p"


def parse_time(text: str) -> datetime:
    """Read a time as leniently as Credly does; a time without an offset counts as UTC.

    Takes the documented ``YYYY-MM-DD HH:MM:SS +HHMM``, ISO 8601 with or without a space before the
    offset, and the zone-less 12-hour form of Credly's Moodle plugin. Raises ValueError for the rest.
    """
    compact = re.sub(r"\s+", " ", text.strip())
    if re.search(r" [ap]m$", compact, re.IGNORECASE):
        parsed = datetime.strptime(compact, _TWELVE_HOUR)
    else:
        parsed = datetime.fromisoformat(re.sub(r" (?=[+-]\d|Z$|UTC$)", "", compact).replace("UTC", "Z"))
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def format_time(moment: datetime | None) -> str | None:
    """The moment as Credly answers it: UTC, ISO 8601, milliseconds, ``Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_date(moment: datetime | None) -> str | None:
    """The day of the moment in UTC, ``YYYY-MM-DD``."""
    return None if moment is None else moment.astimezone(UTC).date().isoformat()
