"""Webhooks: what Credly posted to us, each waiting to be verified and then obeyed."""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from pipeline.ledgers import claims, observations
from pipeline.models import Organization, Webhook, WebhookState

logger = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Of one organization.  Anybody can post, and each waiting webhook costs a call to Credly; Credly itself comes again."""

PATIENCE = timedelta(days=25)
"""How long we try to verify a webhook: as long as Credly would try to deliver it (facts/credly-api.md, section 9.3)."""

LONGEST_TYPE = 100
"""Characters of an event type that are kept."""

_ENDED: dict[str, Any] = {"claim": None, "claimed_until": None, "nudged_at": None, "due_at": None, "error": ""}
_RESULT: dict[str, Any] = _ENDED | {"taken_up": 0}


class TooManyWaiting(Exception):
    """`MOST_WAITING` webhooks of the organization wait."""


@dataclass(frozen=True)
class Claim:
    """The right to handle a webhook (as it was read before the claim)."""

    webhook: Webhook
    token: uuid.UUID


def receive(organization: Organization, event: uuid.UUID, event_type: str) -> int | None:
    """Store a webhook, due at once.  Returns its id, or None if it was stored before.  May be repeated.

    Raises:
        TooManyWaiting: nothing was stored.
        DatabaseError, InterfaceError: the database can't be reached; nothing was stored.
    """
    with transaction.atomic():
        webhook, is_new = Webhook.objects.get_or_create(
            organization=organization, event=event, defaults={"event_type": event_type, "due_at": timezone.now()}
        )
        waiting = Webhook.objects.filter(organization=organization, due_at__isnull=False)
        if is_new and waiting.count() > MOST_WAITING:
            raise TooManyWaiting
    return webhook.pk if is_new else None


def due(pk: int) -> Webhook | None:
    """The webhook if it is due and nobody handles it."""
    return Webhook.objects.select_related("organization").filter(claims.free(timezone.now()), pk=pk).first()


def claim(webhook: Webhook) -> Claim | None:
    """Claim the webhook; None if somebody else has it, or if it was taken up too often without a result: then it is `ignored`.

    Not renewed: two who handle it at once do no harm.
    """
    if webhook.taken_up >= claims.MOST_TAKEN_UP:
        _give_up(webhook)
        return None
    token = claims.take(webhook, state=(WebhookState.WAITING, WebhookState.WAITING))
    return Claim(webhook, token) if token else None


def _give_up(webhook: Webhook) -> None:
    reason = f"Taken up {webhook.taken_up} times without a result: its worker died of it, or was killed, each time."
    mine = Webhook.objects.filter(claims.free(timezone.now()), pk=webhook.pk, taken_up=webhook.taken_up)
    if mine.update(state=WebhookState.IGNORED, outcome=reason, **_ENDED):
        logger.error("Webhook %s was taken up %s times without a result; ignored", webhook.pk, webhook.taken_up)


def verified(claim: Claim, event_type: str) -> None:
    """Credly told the event: its type is what Credly says, not what was posted.  May be repeated."""
    _mine(claim).update(event_type=event_type[:LONGEST_TYPE])


def end(claim: Claim, state: WebhookState, outcome: str) -> None:
    """The webhook is `handled`, `ignored` or `refused`; `outcome` says why, for people.  May be repeated."""
    _mine(claim).update(state=state, outcome=outcome, **_RESULT)


def postpone(claim: Claim, reason: str, until: datetime | None = None) -> None:
    """No result: try again, `until` given or after a growing wait; after `PATIENCE` give up.  May be repeated."""
    again = until or timezone.now() + claims.wait(claim.webhook.attempts + 1)
    _mine(claim).update(**_RESULT | _later(claim.webhook, again, reason))


def hold_back(webhook: Webhook, until: datetime, reason: str) -> None:
    """Credly must not be asked at all: look again at `until`; after `PATIENCE` give up.  May be repeated."""
    Webhook.objects.filter(claims.free(timezone.now()), pk=webhook.pk).update(**_later(webhook, until, reason))


def resume(organization: Organization) -> None:
    """All webhooks of the organization that wait for a time to come are due now.  May be repeated.

    Not those that wait for their second look, which must not come too soon after the first.
    """
    now = timezone.now()
    waiting = Webhook.objects.filter(organization=organization, due_at__gt=now)
    waiting.exclude(error=observations.NOT_SHOWN).update(due_at=now)


def handle_again(webhook: Webhook) -> bool:
    """Have a webhook handled once more, or at once if it waits for a later time.  May be repeated.

    Says whether there was anything to do: one that is being handled right now is left alone.
    """
    now = timezone.now()
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lte=now)
    return bool(
        Webhook.objects.filter(unclaimed, pk=webhook.pk).update(
            state=WebhookState.WAITING,
            outcome="",
            error="",
            attempts=0,
            taken_up=0,
            due_at=now,
            nudged_at=None,
            put_back_at=now,
        )
    )


def named_due(limit: int) -> list[int]:
    """Webhooks for housekeeping to nudge; those of an organization that must not be called now are left out."""
    closed = Q(organization__call_again_at__gt=timezone.now())
    return claims.due(Webhook.objects.exclude(closed), limit)


def _mine(claim: Claim) -> QuerySet[Webhook]:
    return Webhook.objects.filter(pk=claim.webhook.pk, claim=claim.token)


def _later(webhook: Webhook, again: datetime, reason: str) -> dict[str, Any]:
    if again > (webhook.put_back_at or webhook.received_at) + PATIENCE:
        outcome = f"Given up {PATIENCE.days} days after it came; the last reason: {reason}"
        return {**_ENDED, "state": WebhookState.IGNORED, "outcome": outcome}
    return {**_ENDED, "due_at": again, "error": reason}
