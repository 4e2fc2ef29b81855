"""Times as arguments of commands."""

import argparse
from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """A date or time, in UTC; without a zone it is meant so.

    Raises:
        ArgumentTypeError: it is neither.
    """
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day) if day else parse_datetime(text)
        if found is not None:
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-05-01 or 2026-05-01T12:00:00")
