"""What happens at the emulated Credly, and the webhooks that tell of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from pipeline import stages
from pipeline.ledgers import webhooks
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, Organization, Webhook
from tests.ledgers.builders import make_due
from tests.stages.conftest import Site


def happened(site: Site, event_type: str = "") -> list[dict[str, Any]]:
    """What Credly recorded of this organization, oldest first."""
    events = site.emulator.control("GET", "events", arguments={"organization_id": site.academy.organization})["events"]
    return [event for event in events if event_type in ("", event["event_type"])]


def posted(site: Site, event: UUID | str, event_type: str = "badge.state.changed") -> Webhook:
    """A webhook as the view stores it, long enough ago for Credly to show the event everywhere."""
    row = Webhook.objects.get(pk=webhooks.receive(site.organization, UUID(str(event)), event_type))
    Webhook.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(minutes=1))
    return row


def handle(row: Webhook) -> Done:
    """Let the time pass until the webhook is due, and handle it."""
    make_due(row)
    Organization.objects.update(call_again_at=None)
    done = stages.webhook(row.pk)
    row.refresh_from_db()
    return done


def told(site: Site, event_type: str) -> Webhook:
    """The newest event of this type, posted and handled."""
    row = posted(site, happened(site, event_type)[-1]["id"], event_type)
    handle(row)
    return row


def act(site: Site, badge: Badge, what: str) -> None:
    """Something happens to the badge at Credly."""
    if what in ("accept", "reject"):
        site.emulator.control("POST", f"badges/{badge.credly_id}/{what}")
    elif what == "revoke":
        answer = site.academy.call("PUT", f"/badges/{badge.credly_id}/revoke", json={"reason": "by hand"})
        assert answer.status_code == 200
    elif what == "delete":
        assert site.academy.call("DELETE", f"/badges/{badge.credly_id}").status_code == 204
    elif what == "replace":
        form = {"badge_template_id": site.academy.template, "issued_at": "2026-06-01 00:00:00 +0000"}
        assert site.academy.call("POST", f"/badges/{live_id(site, badge)}/replace", json=form).status_code == 201


def live_id(site: Site, badge: Badge) -> str:
    [row] = [row for row in site.live() if row["issuer_earner_id"] == str(badge.learner.lms_user_id)]
    return str(row["id"])


def state(badge: Badge) -> tuple[str, str, str]:
    badge.refresh_from_db()
    return badge.standing, badge.revoked_by, badge.credly_state
