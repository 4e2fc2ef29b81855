"""All that the emulated Credly knows, in memory. One event loop uses it, so nothing is locked."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pipeline.credly.emulator.records import Badge, Event, Organization, Template, Token, User
from pipeline.credly.emulator.switches import Switches

TOKEN_LIFETIME = timedelta(days=180)
"""Life of an authorization token (facts/credly-api.md, 3.2)."""

INDEXED = ("recipient_email", "issuer_earner_id", "user_id")
"""The three ways in which Credly recognises the same learner (facts/credly-api.md, 6.3)."""


class State:
    """Organizations, tokens, templates, badges, events, and a clock that can be set forward."""

    def __init__(self) -> None:
        self.base_url = ""
        self.on_event: Callable[[Event], None] = lambda event: None
        self.clear()

    def clear(self) -> None:
        """Forget everything, set the clock to the true time and every switch to its default."""
        self.organizations: dict[str, Organization] = {}
        self.tokens: dict[str, Token] = {}
        self.templates: dict[str, Template] = {}
        self.badges: dict[str, Badge] = {}
        self.events: dict[str, Event] = {}
        self.users: dict[str, User] = {}
        self.switches = Switches()
        self.ahead = timedelta()
        self._index: dict[tuple[str, str], dict[str, Badge]] = {}

    def now(self) -> datetime:
        """The emulator's time, UTC."""
        return datetime.now(UTC) + self.ahead

    def user(self, email: str) -> User:
        """The account that the address belongs to; a stub is made for an address without one."""
        key = email.casefold()
        if key not in self.users:
            self.users[key] = User(str(uuid4()), [email])
        return self.users[key]

    def add_badge(self, badge: Badge) -> None:
        """Store a new badge: count it on its template and make it findable."""
        self.badges[badge.id] = badge
        badge.template.badges_count += 1
        for key in _keys(badge):
            self._index.setdefault(key, {})[badge.id] = badge

    def remove_badge(self, badge: Badge) -> None:
        """Forget the badge as if it had never been issued; its events stay."""
        del self.badges[badge.id]
        for key in _keys(badge):
            self._index[key].pop(badge.id)

    def badges_by(self, attribute: str, value: str | None) -> Iterable[Badge]:
        """Badges whose indexed attribute (one of INDEXED) has the value, oldest first."""
        if value is None:
            return ()
        return self._index.get(_key(attribute, value), {}).values()

    def record(self, event_type: str, organization: Organization, subject: Badge | Template) -> Event:
        """Add an event with a snapshot of its subject to the feed and announce it."""
        snapshot: Badge | Template = replace(subject)
        if isinstance(snapshot, Badge):
            snapshot.template = replace(snapshot.template)
        event = Event(str(uuid4()), event_type, organization, self.now(), snapshot)
        self.events[event.id] = event
        self.on_event(event)
        return event


def _keys(badge: Badge) -> Iterable[tuple[str, str]]:
    values = (badge.recipient_email, badge.issuer_earner_id, badge.user.id)
    return [_key(name, value) for name, value in zip(INDEXED, values, strict=True) if value is not None]


def _key(attribute: str, value: str) -> tuple[str, str]:
    return attribute, value.casefold() if attribute == "recipient_email" else value
