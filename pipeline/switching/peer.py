"""What the peer knows, as far as it can be taken over: the rows of its tables by primary key.

The tables are those of the badges app of openedx/credentials (commit b6dcad5c), seen from outside: in its `dumpdata`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

AWARDED, REVOKED = "awarded", "revoked"
"""The statuses of a credential.  The second is also the state of a badge that was revoked at Credly."""

UNKNOWN = "unknown"
"""Stands for a word of the peer's that means nothing here: an operator, a group, a state, a status."""


class PeerError(Exception):
    """The source is no whole and sound copy of the peer's tables.  One line: where, and what is allowed; no values."""


@dataclass(frozen=True, slots=True)
class Organization:
    """A Credly organization; `api_key` is empty where it lives in the peer's settings."""

    pk: int
    uuid: UUID
    name: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A badge template of any provider."""

    pk: int
    site: int
    is_active: bool
    uuid: UUID
    name: str
    description: str
    icon: str
    origin: str
    state: str


@dataclass(frozen=True, slots=True)
class CredlyTemplate:
    """That a template (of the same key) is Credly's, and of which organization."""

    pk: int
    organization: int


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement; `blend` is its group: a letter, empty for none, or `UNKNOWN`."""

    pk: int
    template: int
    event_type: str
    description: str
    blend: str

    @property
    def group(self) -> str:
        """The group that it gets here."""
        return "" if self.blend == UNKNOWN else self.blend


@dataclass(frozen=True, slots=True)
class Penalty:
    """A penalty; `requirements` are the keys of those it resets."""

    pk: int
    template: int
    event_type: str
    requirements: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A data rule of the requirement or penalty `owner`; its operator may be `UNKNOWN`."""

    pk: int
    owner: int
    data_path: str
    operator: str
    value: str

    @property
    def is_known(self) -> bool:
        """Whether its operator has a meaning here."""
        return self.operator != UNKNOWN


@dataclass(frozen=True, slots=True)
class User:
    """An account at the peer, a learner's or another."""

    pk: int
    username: str = field(repr=False)
    email: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    full_name: str = field(repr=False)
    lms_user_id: int | None
    is_active: bool
    date_joined: datetime

    @property
    def name(self) -> str:
        """The full name, else first and last name; may be empty."""
        return self.full_name or f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Progress:
    """A username on the way to a template; there may be several rows of the same two."""

    pk: int
    username: str = field(repr=False)
    template: int | None


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """That a requirement is fulfilled; the peer keeps neither when nor by which event."""

    pk: int
    progress: int
    requirement: int | None


@dataclass(frozen=True, slots=True)
class Credential:
    """The general half of a badge: who holds what by the peer's rules.  `template` has meaning for badges only."""

    pk: int
    template: int
    username: str = field(repr=False)
    status: str
    uuid: UUID
    created: datetime
    modified: datetime


@dataclass(frozen=True, slots=True)
class CredlyBadge:
    """The other half, of the same key: what the peer knows of it at Credly."""

    pk: int
    state: str
    external_uuid: UUID | None


@dataclass(frozen=True, slots=True)
class Peer:
    """All rows, by key.  `others` are label and key of rows that belong to the other provider, Accredible."""

    organizations: dict[int, Organization] = field(default_factory=dict)
    templates: dict[int, Template] = field(default_factory=dict)
    credly_templates: dict[int, CredlyTemplate] = field(default_factory=dict)
    requirements: dict[int, Requirement] = field(default_factory=dict)
    rules: dict[int, Rule] = field(default_factory=dict)
    penalties: dict[int, Penalty] = field(default_factory=dict)
    penalty_rules: dict[int, Rule] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    fulfillments: dict[int, Fulfillment] = field(default_factory=dict)
    credentials: dict[int, Credential] = field(default_factory=dict)
    credly_badges: dict[int, CredlyBadge] = field(default_factory=dict)
    others: list[tuple[str, int]] = field(default_factory=list)

    def forget_unneeded(self) -> None:
        """Drop credentials that are no badge, and users without progress and badges: on a large site most of all rows."""
        for pk in self.credentials.keys() - self.credly_badges.keys():
            del self.credentials[pk]
        named = {row.username for rows in (self.progress, self.credentials) for row in rows.values()}
        for pk in [pk for pk, user in self.users.items() if user.username not in named]:
            del self.users[pk]

    def requirements_of(self, template: int) -> list[Requirement]:
        """The requirements of a template, by key."""
        return sorted((row for row in self.requirements.values() if row.template == template), key=_pk)

    def penalties_of(self, template: int) -> list[Penalty]:
        """The penalties of a template, by key."""
        return sorted((row for row in self.penalties.values() if row.template == template), key=_pk)

    def rules_of(self, requirement: Requirement) -> list[Rule]:
        """The rules of a requirement, by key."""
        return sorted((row for row in self.rules.values() if row.owner == requirement.pk), key=_pk)

    def rules_of_penalty(self, penalty: Penalty) -> list[Rule]:
        """The rules of a penalty, by key."""
        return sorted((row for row in self.penalty_rules.values() if row.owner == penalty.pk), key=_pk)

    def doubles(self) -> Iterator[tuple[str, int, int]]:
        """What has a UUID that another row has: label, key, and key of the first such row."""
        tables: tuple[tuple[str, dict[int, Any]], ...] = (
            ("badges.credlyorganization", self.organizations),
            ("badges.badgetemplate", self.templates),
            ("credentials.usercredential", self.credentials),
        )
        for label, rows in tables:
            first: dict[UUID, int] = {}
            for pk, row in rows.items():
                if first.setdefault(row.uuid, pk) != pk:
                    yield label, pk, first[row.uuid]

    def broken_links(self) -> Iterator[tuple[str, int, str, int]]:
        """What names a row that is not there, as only half a copy can: label, key, and label and key of the missing row.

        Of progress and fulfillments such rows are left out one by one; anything else would change what a rule means.
        """
        links = (
            (
                "badges.credlybadgetemplate",
                self.credly_templates,
                "pk",
                "badges.badgetemplate",
                self.templates,
            ),
            (
                "badges.credlybadgetemplate",
                self.credly_templates,
                "organization",
                "badges.credlyorganization",
                self.organizations,
            ),
            (
                "badges.badgerequirement",
                self.requirements,
                "template",
                "badges.badgetemplate",
                self.templates,
            ),
            ("badges.datarule", self.rules, "owner", "badges.badgerequirement", self.requirements),
            ("badges.badgepenalty", self.penalties, "template", "badges.badgetemplate", self.templates),
            ("badges.penaltydatarule", self.penalty_rules, "owner", "badges.badgepenalty", self.penalties),
            ("badges.credlybadge", self.credly_badges, "pk", "credentials.usercredential", self.credentials),
        )
        for label, rows, name, target, there in links:
            for pk, row in rows.items():
                if getattr(row, name) not in there:
                    yield label, pk, target, getattr(row, name)
        for penalty in self.penalties.values():
            for requirement in penalty.requirements:
                if requirement not in self.requirements:
                    yield "badges.badgepenalty", penalty.pk, "badges.badgerequirement", requirement


def _pk(row: Requirement | Penalty | Rule) -> int:
    return row.pk
