"""A site that awards badges: an organization known here and at the emulated Credly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from openedx_events.event_bus import get_producer
from redis import Redis

from pipeline import stages
from pipeline.configuration import organizations
from pipeline.credly.client import CredlyClient, Limits, pooled_session
from pipeline.embedded.redis import RedisServer
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, Organization, Template
from tests.credly.emulated_credly import Academy, EmulatedCredly
from tests.ledgers import builders

NOBODY_LISTENS = "http://127.0.0.1:1/v1/"


def call_credly_at(url: str, settings: Any) -> None:
    """Point the pipeline at a Credly API."""
    config = settings.BADGES_CONFIG
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | {"CREDLY_API_BASE_URL": url}}


@dataclass
class Site:
    """One organization and its usual template, at Credly and here."""

    emulator: EmulatedCredly
    academy: Academy
    organization: Organization
    template: Template

    def badge(self, **fields: Any) -> Badge:
        """A badge that is due to be issued."""
        return builders.badge(template=self.template, **fields)

    def issued(self, **fields: Any) -> Badge:
        """A badge that Credly holds."""
        row = self.badge(**fields)
        issue(row)
        assert row.credly_state == "pending"
        return row

    def ledger(self) -> list[dict[str, Any]]:
        """All badges of this organization at Credly, in whatever state."""
        return self.emulator.ledger(organization=self.academy.organization)

    def live(self) -> list[dict[str, Any]]:
        return [row for row in self.ledger() if row["state"] in ("pending", "accepted")]

    def calls(self, method: str = "POST", path: str = "/badges$") -> list[dict[str, Any]]:
        """The calls that Credly saw for this organization; those to issue, unless told otherwise."""
        return self.emulator.requests(method=method, path=path, organization=self.academy.organization)

    def fault(self, preset: str | None = None, *, method: str = "POST", **fields: Any) -> None:
        """Let Credly fail this organization's calls of a method."""
        match = {"method": method, "organization": self.academy.organization} | fields.pop("match", {})
        self.emulator.fault(preset, match=match, **fields)

    def heal(self) -> None:
        """Lift all faults."""
        self.emulator.control("DELETE", "faults")


def issue(row: Badge) -> Done:
    """Let the time pass until the badge is due, and take one step."""
    builders.make_due(row)
    done = stages.issue(row.pk)
    row.refresh_from_db()
    return done


def want(row: Badge, standing: str) -> None:
    """The rules change their mind about a badge."""
    Badge.objects.filter(pk=row.pk).update(standing=standing)


def make_site(emulator: EmulatedCredly, **template: Any) -> Site:
    """A site; `template` are the emulator's settings of its template."""
    academy = emulator.academy(template)
    organization = builders.organization(uuid=academy.organization, api_key=academy.key)
    row = builders.course_template(organization, uuid=academy.template, reaward=True)
    return Site(emulator, academy, organization, row)


@pytest.fixture
def credly(emulator: EmulatedCredly, settings: Any) -> EmulatedCredly:
    """The emulator, and the pipeline pointed at it."""
    call_credly_at(f"{emulator.api}/", settings)
    return emulator


@pytest.fixture
def site(db: None, credly: EmulatedCredly) -> Site:
    return make_site(credly)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client with its limits cut, so that a test of a call without answer does not take as long as the call."""
    limits = Limits(connect=2, read=0.3, deadline=1)

    def client(base_url: str, organization: Any, key: str) -> CredlyClient:
        return CredlyClient(base_url, organization, key, session=pooled_session(), limits=limits)

    monkeypatch.setattr(organizations, "_client", client)


@pytest.fixture
def bus(redis_server: RedisServer, settings: Any) -> Iterator[Redis]:
    """The event bus, empty."""
    settings.EVENT_BUS_REDIS_CONNECTION_URL = redis_server.url
    settings.EVENT_BUS_TOPIC_PREFIX = ""
    get_producer.cache_clear()
    with Redis.from_url(redis_server.url) as client:
        client.flushdb()
        yield client
    get_producer.cache_clear()
