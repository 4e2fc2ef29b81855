"""Whom the peer's usernames mean: here a learner is known by the LMS user id alone, as events name them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.models import Learner
from pipeline.switching.peer import Peer, PeerError, User
from pipeline.switching.report import Report, Section
from pipeline.switching.tables import key

AT_ONCE = 500
"""Rows that one statement names."""

GIVE_IDS = "Give the LMS ids by --lms-ids (docs/switching.md)."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """A learner: the LMS user id, the username, and the account at the peer if there is one."""

    lms_user_id: int
    username: str = field(repr=False)
    user: User | None


@dataclass(frozen=True, slots=True)
class Stranger:
    """Why nobody can be found for a username, and what to do."""

    reason: str
    advice: str


class People:
    """Answers whom a username means, from the peer's accounts, the LMS's own list if given, and the learners here."""

    def __init__(self, peer: Peer, lms_ids: Mapping[str, int]) -> None:
        self._users = {user.username: user for user in peer.users.values()}
        self._lms_ids = lms_ids
        named = {row.username for rows in (peer.progress, peer.credentials) for row in rows.values()}
        self._known_here = _known_here([name for name in named if self._number(name) is None])
        self._persons: dict[int, Person] = {}
        self.strangers: set[str] = set()
        """Usernames that were asked for and not found."""

    def find(self, username: str) -> Person | Stranger:
        """The learner, or why nobody can be found."""
        found = self._find(username)
        if isinstance(found, Stranger):
            self.strangers.add(username)
        return found

    def _find(self, username: str) -> Person | Stranger:
        user = self._users.get(username)
        listed = self._lms_ids.get(username)
        if user and user.lms_user_id is not None and listed is not None and listed != user.lms_user_id:
            reason = f"Its user, core.user {user.pk}, has another LMS user id than --lms-ids says."
            return Stranger(reason, "Find out which is right.")
        number = self._number(username) or self._known_here.get(username)
        if number is not None:
            # Of two accounts with one LMS user id the first is the learner, however often it is asked for.
            return self._persons.setdefault(number, Person(number, username, user))
        if user is None:
            return Stranger("Its username is that of no core.user.", GIVE_IDS)
        return Stranger(f"Its user, core.user {user.pk}, has no LMS user id.", GIVE_IDS)

    def note_doubles(self, report: Report) -> None:
        """Say which accounts of learners have the same LMS user id."""
        first: dict[int, int] = {}
        for user in sorted(self._users.values(), key=lambda user: user.pk):
            if user.lms_user_id is not None and first.setdefault(user.lms_user_id, user.pk) != user.pk:
                reason = f"It has the LMS user id of core.user {first[user.lms_user_id]}: both count as one learner."
                report.say(Section.NOTED, "core.user", user.pk, reason)

    def _number(self, username: str) -> int | None:
        """By the peer's account, else by the LMS's list."""
        user = self._users.get(username)
        return (user.lms_user_id if user else None) or self._lms_ids.get(username)


def _known_here(usernames: list[str]) -> dict[str, int]:
    """The LMS user ids of those of whom events told us, where a username is clear."""
    found: dict[str, set[int]] = {}
    for chunk in chunks(usernames):
        for username, number in Learner.objects.filter(username__in=chunk).values_list("username", "lms_user_id"):
            found.setdefault(username, set()).add(number)
    return {username: numbers.pop() for username, numbers in found.items() if len(numbers) == 1}


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in turn, `AT_ONCE` at a time."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


def read_lms_ids(file: str) -> dict[str, int]:
    """LMS user ids by username, from a file with the columns `id` and `username` of the LMS's table `auth_user`.

    Args:
        file: separated by commas or tabs, with a head line; other columns are passed over.

    Raises:
        PeerError: it can't be read, or is no such file.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            tabbed = "\t" in stream.readline()
            stream.seek(0)
            return _lms_ids(csv.DictReader(stream, delimiter="\t" if tabbed else ","), file)
    except OSError as error:
        raise PeerError(f"can't read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error):
        raise PeerError(f"{file} is no UTF-8 text with columns") from None


def _lms_ids(rows: "csv.DictReader[str]", file: str) -> dict[str, int]:
    if not {"id", "username"} <= set(rows.fieldnames or ()):
        raise PeerError(f"{file}:1: must name the columns id and username")
    found: dict[str, int] = {}
    for row in rows:
        username, number = row["username"], _parsed(row["id"])
        if not username or number is None:
            raise PeerError(f"{file}:{rows.line_num}: must have a username and a whole number as id")
        if found.setdefault(username, number) != number:
            raise PeerError(f"{file}:{rows.line_num}: the username is there twice, with another id")
    return found


def _parsed(text: str | None) -> int | None:
    try:
        return key(int(text)) if text and text.isascii() and text.isdecimal() else None
    except ValueError:
        return None
