"""What a call to Credly came to: every call ends in exactly one of these, and none of them is an exception.

They differ by what the caller may do next, not by status code:

============  ==========================================================================================
Confirmed     Credly did it, or answered; the value is Credly's.
Duplicate     Credly already holds such a badge: look it up and adopt it.
Rejected      Final: the same call would be refused again; a person must look.
Throttled     Nothing was done: call again after the time given, else back off.
Unavailable   Nothing was done: call again later.
Unknown       A write may or may not have been done: look first, never repeat it blind.
Unauthorized  The key is dead or lacks a right: stop calling for this organization.
============  ==========================================================================================

Only ``issue`` ends in Duplicate, and only writes (``issue``, ``revoke``) end in Unknown.

A write answered by 500 is Unknown, like every 5xx: Credly promises no rollback, and the error may have struck
after the badge was stored. Looking first costs one read; a wrong "nothing was done" costs a second badge.

Texts are one line of at most 500 characters, without e-mail addresses and without the key.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Confirmed(Generic[T]):
    """Credly did what was asked (any 2xx whose body could be read)."""

    value: T


@dataclass(frozen=True)
class Duplicate:
    """Credly refused to issue: an existing badge counts as the same (422, "already has this badge")."""

    message: str


@dataclass(frozen=True)
class Rejected:
    """Credly refused for good: any 4xx but 401, 403, 408 and 429, with Credly's own message."""

    status: int
    message: str


@dataclass(frozen=True)
class Throttled:
    """Too many calls (429). ``retry_after``: seconds from now, 0 to 86,400; None if Credly named no time."""

    retry_after: float | None


@dataclass(frozen=True)
class Unavailable:
    """Credly was not reached, or a read got no usable answer. Nothing was changed at Credly."""

    reason: str


@dataclass(frozen=True)
class Unknown:
    """A write was sent and no usable answer came back: its effect may have happened."""

    reason: str


@dataclass(frozen=True)
class Unauthorized:
    """The key is missing, wrong, expired or rotated away (401), or lacks the right (403)."""

    status: int
    message: str


Failure: TypeAlias = Duplicate | Rejected | Throttled | Unavailable | Unknown | Unauthorized
"""Every outcome but Confirmed."""

Outcome: TypeAlias = Confirmed[T] | Failure
"""``Outcome[IssuedBadge]`` is ``Confirmed[IssuedBadge]`` or a Failure."""
