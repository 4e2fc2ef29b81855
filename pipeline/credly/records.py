"""What we tell Credly and what Credly tells us, reduced to the fields the pipeline uses.

Field names and types: ``facts/credly-api.md`` sections 4, 5.4, 6.1 and 9.4. Personal data never shows in a
repr.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class IssueRequest:
    """One badge to issue. Credly demands both names, not blank.

    ``issued_at`` is when the learner earned the badge and must carry a time zone (else ValueError).
    ``issuer_earner_id`` is our own stable id of the learner; Credly refuses a second badge of the template
    for it.
    """

    template: UUID
    recipient_email: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    issued_at: datetime
    issuer_earner_id: str

    def __post_init__(self) -> None:
        if self.issued_at.utcoffset() is None:
            raise ValueError("issued_at must carry a time zone")


@dataclass(frozen=True)
class IssuedBadge:
    """A badge as Credly holds it.

    ``state`` is Credly's word: pending, accepted, rejected, revoked or replaced; others may come.
    ``replacement_badge_id`` names the live badge when this one was replaced (follow it until None), and
    ``replaces_badge_id`` the one whose place this one took.
    """

    id: UUID
    state: str
    template: UUID
    recipient_email: str | None = field(repr=False)
    issuer_earner_id: str | None
    issued_at: datetime | None
    replacement_badge_id: UUID | None
    replaces_badge_id: UUID | None


@dataclass(frozen=True)
class OrganizationInfo:
    """The organization as Credly names it."""

    id: UUID
    name: str


@dataclass(frozen=True)
class KeyDates:
    """When an authorization token was made and when it expires, as far as Credly says; never its value."""

    id: UUID
    is_ours: bool
    created_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class TemplateInfo:
    """A badge template. ``state`` is active, archived or draft.

    ``owner`` may be another organization that granted ours the right to issue. With
    ``allow_duplicate_badges`` Credly does not protect a learner from a second badge: only our own look-up
    does.
    """

    id: UUID
    name: str
    description: str
    state: str
    image_url: str
    owner: UUID | None
    allow_duplicate_badges: bool


@dataclass(frozen=True)
class CredlyEvent:
    """Something that happened at Credly, as ``GET events/{id}`` tells it (a webhook only points to it).

    Of the subject only the id is kept: the object that Credly embeds may be stale, so read it again.
    ``badge_id`` is set for ``badge.*`` events, ``template_id`` for ``badge_template.*`` ones, when Credly
    gave it.
    """

    id: UUID
    event_type: str
    organization: UUID
    occurred_at: datetime
    badge_id: UUID | None
    template_id: UUID | None
