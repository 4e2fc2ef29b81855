"""What an answer from Credly means (``facts/credly-api.md`` section 8.2, section 5 of the design).

One rule decides the doubtful cases: an answer that cannot be understood leaves a read Unavailable and a write
Unknown. This covers 5xx, 408, redirects, bodies that are cut, too long, too slow or not JSON, and so refusals by a
page or a line of text, which come from something in front of Credly. A refusal without a body is Credly's
own and final. 401, 403 and 429 count whatever their body.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pipeline.credly.complaints import complaint, one_line, says_duplicate
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Outcome,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.credly.parsing import Envelope, MalformedError, envelope

T = TypeVar("T")

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds to which a Retry-After is cut: a wrong header must not put a badge off for years."""


@dataclass(frozen=True)
class Answer:
    """What came back over the wire. ``flaw`` says why the body is not whole, if it is not."""

    status: int
    retry_after: str | None
    body: bytes
    flaw: str | None


def verdict(
    answer: Answer,
    parse: Callable[[Envelope], T],
    doubt: type[Unavailable] | type[Unknown],
    *,
    hidden: tuple[str, ...],
    may_be_duplicate: bool = False,
) -> Outcome[T]:
    """The outcome of an answer. ``doubt`` is what an answer that cannot be understood leaves.

    ``hidden`` texts are struck from Credly's message. ``parse`` raises MalformedError for what it cannot
    read.
    """
    status = answer.status
    if status == 429:
        return Throttled(_seconds(answer.retry_after))
    if status in (401, 403):
        return Unauthorized(status, _shown(_said_if_readable(answer.body), status, hidden))
    if not (200 <= status < 300 or 400 <= status < 500) or status == 408:
        return doubt(f"HTTP {status}")
    if answer.flaw:
        return doubt(f"HTTP {status}, {answer.flaw}")
    try:
        if status < 300:
            return Confirmed(parse(envelope(answer.body)))
        said = complaint(answer.body)
    except MalformedError as error:
        return doubt(f"HTTP {status}, {error}")
    message = _shown(said, status, hidden)
    if may_be_duplicate and status == 422 and says_duplicate(said):
        return Duplicate(message)
    return Rejected(status, message)


def _said_if_readable(body: bytes) -> str:
    try:
        return complaint(body)
    except MalformedError:
        return ""


def _shown(said: str, status: int, hidden: tuple[str, ...]) -> str:
    return one_line(said, hidden) or f"HTTP {status} without a message"


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After as seconds from now: it is a number of seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", retry_after.strip()):
        seconds = float(retry_after)
    else:
        try:
            moment = parsedate_to_datetime(retry_after)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
