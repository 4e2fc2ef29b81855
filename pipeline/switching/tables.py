"""How the peer's tables are called and what their columns hold, for the dump and the database alike."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from pipeline.models import Operator, TemplateState
from pipeline.switching import peer
from pipeline.switching.peer import UNKNOWN, Peer, PeerError

Convert = Callable[[Any], Any]
"""A value as the dump or a database driver gives it to what a row holds; raises ValueError with what is allowed."""

LARGEST_KEY = 2**63 - 1


def text(value: Any) -> str:
    """A text of any length that every database can store; null is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("a text")
    if "\0" in value or not _is_unicode(value):
        raise ValueError("a text without NUL and without halves of surrogate pairs")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def short(value: Any) -> str:
    """A text of at most 255 characters, as long as columns for it are, here and there."""
    if len(text(value)) > 255:
        raise ValueError("a text of at most 255 characters")
    return text(value)


def boolean(value: Any) -> bool:
    """A boolean; some databases have 0 and 1."""
    if value not in (0, 1):
        raise ValueError("true or false")
    return bool(value)


def key(value: Any) -> int:
    """A primary key, or the LMS user id."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_KEY:
        raise ValueError("a whole number; dump without --natural-primary and --natural-foreign")
    return value


def keys(value: Any) -> tuple[int, ...]:
    """Several primary keys."""
    if not isinstance(value, list | tuple):
        raise ValueError("a list of whole numbers")
    return tuple(key(each) for each in value)


def uuid(value: Any) -> UUID:
    """A UUID, with or without hyphens."""
    try:
        return value if isinstance(value, UUID) else UUID(text(value))
    except ValueError:
        raise ValueError("a UUID") from None


def time(value: Any) -> datetime:
    """A time; one without a zone is UTC."""
    try:
        found = value if isinstance(value, datetime) else parse_datetime(text(value))
    except ValueError:
        found = None
    if found is None:
        raise ValueError("a time such as 2026-05-01T12:00:00Z")
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("a time in the years 1 to 9999") from None


def group(value: Any) -> str:
    """A group: one letter from A to Z, or empty; `UNKNOWN` for any other text."""
    return text(value) if re.fullmatch(r"[A-Z]?", text(value)) else UNKNOWN


def one_of(*known: str) -> Convert:
    """One of these words; `UNKNOWN` for any other text."""
    return lambda value: text(value) if text(value) in known else UNKNOWN


def optional(convert: Convert) -> Convert:
    """The same, or None for null and for an empty text."""
    return lambda value: None if value in (None, "") else convert(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the peer's; one that names another row is called `<name>_id` in the database."""

    name: str
    convert: Convert
    is_link: bool = False

    @property
    def in_database(self) -> str:
        """Its column."""
        return f"{self.name}_id" if self.is_link else self.name


def _link(name: str, convert: Convert = key) -> Column:
    return Column(name, convert, is_link=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the peer's.

    `label` is its model in a dump, `rows` the dictionary of `Peer` that its rows go to, by key, made by `make` from
    `columns` (by our name).  `key` is its primary key's column, `where` what of it is read from a database.
    """

    label: str
    rows: Callable[[Peer], dict[int, Any]]
    make: Callable[..., Any]
    columns: Mapping[str, Column]
    key: str = "id"
    where: str = ""
    many: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    """By column: table, column of this row's key and column of the others' keys, of many keys that a row names."""

    @property
    def in_database(self) -> str:
        """Its name in a database."""
        return self.label.replace(".", "_")

    def add(self, to: Peer, pk: Any, fields: Mapping[str, Any], place: str) -> None:
        """Put one row where it belongs.

        Args:
            to: gets it.
            pk: as it came.
            fields: by the peer's names, as they came; more than are needed.
            place: where it was read, for the error.

        Raises:
            PeerError: a field is missing or holds what it can't, or the key is there twice.
        """
        try:
            number = key(pk)
        except ValueError as allowed:
            raise PeerError(f"{place}: {self.label}: pk must be {allowed}") from None
        values = {}
        for name, column in self.columns.items():
            if column.name not in fields:
                raise PeerError(f"{place}: {self.label} {number}: the field {column.name} is missing")
            try:
                values[name] = column.convert(fields[column.name])
            except ValueError as allowed:
                raise PeerError(f"{place}: {self.label} {number}: {column.name} must be {allowed}") from None
        rows = self.rows(to)
        if number in rows:
            raise PeerError(f"{place}: {self.label} {number} is there twice")
        rows[number] = self.make(number, **values)


def _columns(**converted: Convert) -> dict[str, Column]:
    return {name: Column(name, convert) for name, convert in converted.items()}


_RULE = _columns(data_path=short, operator=one_of(Operator.EQUALS, Operator.NOT_EQUALS), value=short)

TABLES = (
    Table(
        "badges.credlyorganization",
        lambda to: to.organizations,
        peer.Organization,
        _columns(uuid=uuid, name=short, api_key=text),
    ),
    Table(
        "badges.badgetemplate",
        lambda to: to.templates,
        peer.Template,
        {"site": _link("site")}
        | _columns(is_active=boolean, uuid=uuid, name=short, description=text, icon=text, origin=text)
        | _columns(state=one_of(*TemplateState.values)),
    ),
    Table(
        "badges.credlybadgetemplate",
        lambda to: to.credly_templates,
        peer.CredlyTemplate,
        {"organization": _link("organization")},
        key="badgetemplate_ptr_id",
    ),
    Table(
        "badges.badgerequirement",
        lambda to: to.requirements,
        peer.Requirement,
        {"template": _link("template")} | _columns(event_type=short, description=text, blend=group),
    ),
    Table(
        "badges.datarule",
        lambda to: to.rules,
        peer.Rule,
        {"owner": _link("requirement")} | _RULE,
    ),
    Table(
        "badges.badgepenalty",
        lambda to: to.penalties,
        peer.Penalty,
        {"template": _link("template")} | _columns(event_type=short, requirements=keys),
        many={"requirements": ("badges_badgepenalty_requirements", "badgepenalty_id", "badgerequirement_id")},
    ),
    Table(
        "badges.penaltydatarule",
        lambda to: to.penalty_rules,
        peer.Rule,
        {"owner": _link("penalty")} | _RULE,
    ),
    Table(
        "core.user",
        lambda to: to.users,
        peer.User,
        _columns(username=short, email=text, first_name=text, last_name=text, full_name=text)
        | _columns(lms_user_id=optional(key), is_active=boolean, date_joined=time),
        where="username IN (SELECT username FROM badges_badgeprogress) OR username IN (SELECT username FROM "
        "credentials_usercredential JOIN badges_credlybadge ON id = usercredential_ptr_id)",
    ),
    Table(
        "badges.badgeprogress",
        lambda to: to.progress,
        peer.Progress,
        _columns(username=short) | {"template": _link("template", optional(key))},
    ),
    Table(
        "badges.fulfillment",
        lambda to: to.fulfillments,
        peer.Fulfillment,
        {"progress": _link("progress"), "requirement": _link("requirement", optional(key))},
    ),
    Table(
        "credentials.usercredential",
        lambda to: to.credentials,
        peer.Credential,
        _columns(username=short, status=one_of(peer.AWARDED, peer.REVOKED), uuid=uuid, created=time, modified=time)
        | {"template": Column("credential_id", key)},
        where="id IN (SELECT usercredential_ptr_id FROM badges_credlybadge)",
    ),
    Table(
        "badges.credlybadge",
        lambda to: to.credly_badges,
        peer.CredlyBadge,
        _columns(
            state=one_of("created", "no_response", "error", "pending", "accepted", "rejected", "revoked", "expired"),
            external_uuid=optional(uuid),
        ),
        key="usercredential_ptr_id",
    ),
)

ACCREDIBLE = {
    # The other provider's tables, label: the primary key's column.  Only listed; a peer from before Accredible has none.
    "badges.accredibleapiconfig": "id",
    "badges.accrediblegroup": "badgetemplate_ptr_id",
    "badges.accrediblebadge": "usercredential_ptr_id",
}


def add_other(to: Peer, label: str, pk: Any, place: str) -> None:
    """Note a row of the other provider.

    Raises:
        PeerError: its key is none.
    """
    try:
        to.others.append((label, key(pk)))
    except ValueError as allowed:
        raise PeerError(f"{place}: {label}: pk must be {allowed}") from None


def check(found: Peer, source: str) -> None:
    """Return if this is a whole copy of a peer, with no more rows than are needed.

    Raises:
        PeerError: rows are missing, or there twice under two keys.
    """
    if not found.credly_templates and not found.organizations:
        raise PeerError(f"{source} holds no organization and no Credly template of openedx/credentials")
    if (found.progress or found.credly_badges) and not found.users:
        raise PeerError(f"{source} holds progress or badges, but no core.user: without the users nobody is found")
    found.forget_unneeded()
    for label, pk, first in found.doubles():
        raise PeerError(f"{source}: {label} {pk} has the UUID of {label} {first}")
    for label, pk, missing_label, missing in found.broken_links():
        raise PeerError(f"{source}: {label} {pk} names {missing_label} {missing}, which is not there")
