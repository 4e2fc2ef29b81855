"""Credly's JSON to records. What is missing or odd raises MalformedError.

Unknown fields are ignored, as Credly asks (``facts/credly-api.md`` section 2); fields that the pipeline can
do without may be absent.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from pipeline.credly.records import CredlyEvent, IssuedBadge, KeyDates, OrganizationInfo, TemplateInfo

T = TypeVar("T")

Fields = Mapping[str, object]


class MalformedError(ValueError):
    """A body that is not what Credly's documentation describes. The text holds no value from the body."""


@dataclass(frozen=True)
class Envelope:
    """Credly's frame around every answer: ``{"data": ..., "metadata": {...}}`` (section 2)."""

    data: object
    metadata: Fields


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a listing. ``total_pages`` is None when Credly did not say."""

    items: list[T]
    total_pages: int | None

    def is_last(self, number: int) -> bool:
        """Whether Credly says that no page comes after this one, asked for as page ``number`` (from 1)."""
        return self.total_pages is not None and number >= self.total_pages


def envelope(body: bytes) -> Envelope:
    """The frame of a successful answer. Raises MalformedError if the body is not JSON or has no ``data``."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError("the body is not readable JSON") from error
    if not isinstance(content, dict) or "data" not in content:
        raise MalformedError("the body has no data")
    metadata = content.get("metadata")
    return Envelope(content["data"], metadata if isinstance(metadata, dict) else {})


def one(parse: Callable[[object], T]) -> Callable[[Envelope], T]:
    """How to read an answer with a single object."""
    return lambda answer: parse(answer.data)


def page(parse: Callable[[object], T]) -> Callable[[Envelope], Page[T]]:
    """How to read one page of a listing. A single bad item spoils the page: leaving it out would hide it."""

    def read(answer: Envelope) -> Page[T]:
        if not isinstance(answer.data, list):
            raise MalformedError("data is not a list")
        total = answer.metadata.get("total_pages")
        return Page([parse(item) for item in answer.data], total if isinstance(total, int) else None)

    return read


def issued_badge(value: object) -> IssuedBadge:
    """An issued badge (section 6.1); id, state and template id are required."""
    fields = _object(value, "badge")
    return IssuedBadge(
        id=_required_uuid(fields, "id"),
        state=_text(fields, "state"),
        template=_required_uuid(_object(fields.get("badge_template"), "badge_template"), "id"),
        recipient_email=_optional_text(fields, "recipient_email"),
        issuer_earner_id=_optional_text(fields, "issuer_earner_id"),
        issued_at=_optional_time(fields, "issued_at"),
        replacement_badge_id=_optional_uuid(fields, "replacement_badge_id"),
        replaces_badge_id=_optional_uuid(fields, "replaces_badge_id"),
    )


def organization(value: object) -> OrganizationInfo:
    """An organization (section 4)."""
    fields = _object(value, "organization")
    return OrganizationInfo(id=_required_uuid(fields, "id"), name=_text(fields, "name"))


def key_dates(key: str) -> Callable[[object], KeyDates]:
    """How to read an authorization token (section 3.2) when ``key`` is our own. The token's value is not kept."""

    def read(value: object) -> KeyDates:
        fields = _object(value, "authorization_token")
        return KeyDates(
            id=_required_uuid(fields, "id"),
            is_ours=fields.get("token") == key,
            created_at=_optional_time(fields, "created_at"),
            expires_at=_optional_time(fields, "expires_at"),
        )

    return read


def template(value: object) -> TemplateInfo:
    """A badge template (section 5.4); id, name and state are required."""
    fields = _object(value, "badge_template")
    owner = fields.get("owner")
    return TemplateInfo(
        id=_required_uuid(fields, "id"),
        name=_text(fields, "name"),
        description=_optional_text(fields, "description") or "",
        state=_text(fields, "state"),
        image_url=_optional_text(fields, "image_url") or "",
        owner=None if owner is None else _optional_uuid(_object(owner, "owner"), "id"),
        allow_duplicate_badges=fields.get("allow_duplicate_badges") is True,
    )


def event(value: object) -> CredlyEvent:
    """An event (section 9.4). What ``.deleted`` events embed is not documented, so it may be nothing."""
    fields = _object(value, "event")
    occurred_at = _optional_time(fields, "occurred_at")
    if occurred_at is None:
        raise MalformedError("occurred_at is missing")
    return CredlyEvent(
        id=_required_uuid(fields, "id"),
        event_type=_text(fields, "event_type"),
        organization=_required_uuid(fields, "organization_id"),
        occurred_at=occurred_at,
        badge_id=_subject(fields, "badge"),
        template_id=_subject(fields, "badge_template"),
    )


def _subject(fields: Fields, name: str) -> UUID | None:
    embedded = fields.get(name)
    return None if embedded is None else _required_uuid(_object(embedded, name), "id")


def _object(value: object, name: str) -> Fields:
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is not an object")
    return value


def _optional_text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise MalformedError(f"{name} is not text")
    # JSON can carry what a database refuses to store: NUL and halves of surrogate pairs.
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _text(fields: Fields, name: str) -> str:
    value = _optional_text(fields, name)
    if not value:
        raise MalformedError(f"{name} is missing")
    return value


def _optional_uuid(fields: Fields, name: str) -> UUID | None:
    value = _optional_text(fields, name)
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError as error:
        raise MalformedError(f"{name} is not a UUID") from error


def _required_uuid(fields: Fields, name: str) -> UUID:
    value = _optional_uuid(fields, name)
    if value is None:
        raise MalformedError(f"{name} is missing")
    return value


def _optional_time(fields: Fields, name: str) -> datetime | None:
    """A time with its zone; Credly's answers are in UTC, also where they would not say so (section 2)."""
    value = _optional_text(fields, name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise MalformedError(f"{name} is not a time") from error
    return time if time.utcoffset() is not None else time.replace(tzinfo=UTC)
