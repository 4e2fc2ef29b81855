"""Pseudonyms: what takes the place of a retired learner's username, e-mail and name.  Pure: nothing is stored here."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

Payload = Any
"""What JSON holds: the payload of an event or a part of it."""


def pseudonym(lms_user_id: int) -> str:
    """The username of a retired learner."""
    return f"retired-{lms_user_id}"


def is_user(part: Mapping[str, Any]) -> bool:
    """Whether a part of a payload is a `UserData`: of whom is known, and who that is."""
    return isinstance(part.get("pii"), Mapping) and type(part.get("id")) is int


def people(payload: Payload) -> Iterator[Mapping[str, Any]]:
    """Every `UserData` in a payload, at whatever place."""
    if isinstance(payload, Mapping):
        if is_user(payload):
            yield payload
        for item in payload.values():
            yield from people(item)
    elif isinstance(payload, list):
        for item in payload:
            yield from people(item)


def as_stored(payload: Payload, stored: Payload) -> Payload:
    """The payload with those people pseudonymised who are so in `stored`, to compare the two."""
    for user in people(stored):
        if user["pii"].get("username") == pseudonym(user["id"]):
            payload = Identity(user["id"]).learned([payload]).removed_from_payload(payload)
    return payload


class Identity:
    """All that is known to name one person: usernames, e-mails and names, of now and of earlier events.

    Args:
        lms_user_id: the LMS user id.
        usernames: usernames, in any case.
        emails: e-mail addresses, in any case.
        names: full names.
    """

    def __init__(
        self, lms_user_id: int, usernames: Iterable[str] = (), emails: Iterable[str] = (), names: Iterable[str] = ()
    ) -> None:
        self.lms_user_id = lms_user_id
        self.pseudonym = pseudonym(lms_user_id)
        self.usernames = frozenset(usernames) - {"", self.pseudonym}
        self.emails = frozenset(emails) - {""}
        self.names = frozenset(names) - {""}
        self._anywhere = _any_of(self.usernames | self.emails | self.names)
        self._address = _any_of(self.emails, before=r"[\w.+%-]", after=r"[\w-]|\.\w")
        words = (word for name in self.names for word in name.split())
        self._as_name = {text.casefold() for text in (*self.usernames, *self.names, *words)}

    def learned(self, payloads: Iterable[Payload]) -> "Identity":
        """This identity with what payloads tell of the person."""
        told = [user["pii"] for payload in payloads for user in people(payload) if user["id"] == self.lms_user_id]
        return Identity(
            self.lms_user_id,
            self.usernames.union(_texts(told, "username")),
            self.emails.union(_texts(told, "email")),
            self.names.union(_texts(told, "name")),
        )

    @property
    def quotable(self) -> Collection[str]:
        """The texts by which the person may be quoted; empty when nothing is known (any more)."""
        return self.usernames | self.emails | self.names

    def is_in(self, data: bytes) -> bool:
        """Whether data hold the username or the e-mail.  Binary data have no words, so any occurrence counts."""
        return any(text.encode() in data for text in self.usernames | self.emails)

    def removed_from_text(self, text: str) -> str:
        """A text for people without username, e-mail and name: the pseudonym is there instead."""
        return self._anywhere.sub(self.pseudonym, text) if self._anywhere else text

    def address_removed_from_text(self, text: str) -> str:
        """A text that may be about anybody, without the e-mail addresses: only those are surely this person's."""
        return self._address.sub(self.pseudonym, text) if self._address else text

    def removed_from_payload(self, payload: Payload) -> Payload:
        """A payload, as valid as before, that does not name the person.

        In each `UserData` of theirs the username becomes the pseudonym, all other texts become empty.  Elsewhere e-mail
        addresses are replaced, and under keys like `name` what is nothing but their name, a part of it or the username;
        values such as a course key are never touched, whatever the username is.
        """
        return self._clean(payload, key="")

    def removed_from_value(self, key: str, value: str) -> str:
        """One text of a payload, found under `key` (or key path), without the person; see `removed_from_payload`."""
        if "name" in key.rpartition(".")[2] and value.casefold() in self._as_name:
            return self.pseudonym
        return self.address_removed_from_text(value)

    def _clean(self, part: Payload, key: str) -> Payload:
        if isinstance(part, str):
            return self.removed_from_value(key, part)
        if isinstance(part, list):
            return [self._clean(item, key) for item in part]
        if not isinstance(part, Mapping):
            return part
        if not is_user(part):
            return {name: self._clean(item, name) for name, item in part.items()}
        # What names somebody else stays, even if it is the same word.
        return {**part, "pii": self._concealed(part["pii"])} if part["id"] == self.lms_user_id else part

    def _concealed(self, pii: Mapping[str, Any]) -> dict[str, Any]:
        """An empty username stays empty: the event was refused for it, and must not become acceptable now."""
        emptied = {key: "" if isinstance(value, str) else value for key, value in pii.items()}
        return emptied | ({"username": self.pseudonym} if pii.get("username") else {})


def _texts(told: Iterable[Mapping[str, Any]], key: str) -> set[str]:
    return {pii[key] for pii in told if isinstance(pii.get(key), str)}


def _any_of(texts: Collection[str], before: str = r"\w", after: str = r"\w") -> re.Pattern[str] | None:
    """Finds any of these texts where they are not a part of something longer, which would go on with `before` or `after`.

    The longest come first: an e-mail often begins with the username.
    """
    if not texts:
        return None
    choices = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(rf"(?<!{before})(?:{choices})(?!{after})", re.IGNORECASE)
