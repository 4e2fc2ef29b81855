"""What Credly remembers, as plain records."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Organization:
    """An issuer of badges. ``profile`` holds the descriptive fields that it has set."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    webhook_url: str | None = None
    allowed_webhooks: list[str] = field(default_factory=list)
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Token:
    """An authorization token (or OAuth access token) and what it may do."""

    id: str
    value: str
    organization_id: str
    created_at: datetime
    expires_at: datetime
    description: str | None = None
    read_enabled: bool = True
    write_enabled: bool = True
    delete_enabled: bool = True


@dataclass(slots=True)
class Template:
    """A kind of badge. ``details`` holds the descriptive fields that it was given."""

    id: str
    owner: Organization
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    state: str = "active"
    state_updated_at: datetime | None = None
    image_url: str = "https://images.credly.example/badge.png"
    allow_duplicate_badges: bool = False
    public: bool = True
    granted_to: list[str] = field(default_factory=list)
    badges_count: int = 0
    default_expires_at: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class User:
    """An earner's Credly account; ``confirmed`` is False for the stub of an address without one."""

    id: str
    emails: list[str]
    confirmed: bool = False


@dataclass(slots=True)
class Badge:
    """A badge issued to a person."""

    id: str
    organization: Organization
    template: Template
    user: User
    recipient_email: str
    issued_to_first_name: str
    issued_to_last_name: str
    issued_at: datetime
    created_at: datetime
    updated_at: datetime
    state: str = "pending"
    state_updated_at: datetime | None = None
    issued_to_middle_name: str | None = None
    issuer_earner_id: str | None = None
    locale: str = "en"
    public: bool = True
    suppress_badge_notification_email: bool = False
    expires_at: datetime | None = None
    country_name: str | None = None
    state_or_province: str | None = None
    evidence: list[dict[str, Any]] = field(default_factory=list)
    revocation_reason: str | None = None
    replaces_badge_id: str | None = None
    replacement_badge_id: str | None = None


@dataclass(slots=True)
class Event:
    """Something that happened: ``snapshot`` is the badge or template as it was then."""

    id: str
    event_type: str
    organization: Organization
    occurred_at: datetime
    snapshot: Badge | Template
