"""Times as arguments of commands."""

import argparse
from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """A date or time; without a zone it is UTC.

    Raises:
        ArgumentTypeError: it is neither.
    """
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day) if day else parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-05-01 or 2026-05-01T12:00:00")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
