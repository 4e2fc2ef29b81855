"""webhook: verify at Credly what a webhook says, and obey it.

A webhook is a pointer that anybody can forge.  What happened is what Credly tells of that event, to our own key, and what
is now is read anew: so the order in which webhooks come and how often does not matter.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from django.db import DatabaseError, InterfaceError
from django.db.models import Q
from django.utils import timezone

from pipeline.configuration import gate, organizations, pace, syncing
from pipeline.credly.client import CredlyClient
from pipeline.credly.outcomes import (
    Confirmed,
    Duplicate,
    Failure,
    Rejected,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from pipeline.credly.records import CredlyEvent, IssuedBadge
from pipeline.ledgers import claims, observations, webhooks
from pipeline.ledgers.holdings import Done
from pipeline.ledgers.webhooks import Claim
from pipeline.models import Badge, CredlyState, Organization, Template, TemplateState, WebhookState
from pipeline.stages.answers import answered, unanswered
from pipeline.stages.observe import SHOWN_WITHIN, Seen, Unsettled, not_shown, observe

logger = logging.getLogger(__name__)

SOURCE = "webhook"
"""The word for it in the badge's history."""

BADGE_DELETED = "badge.deleted"
TEMPLATE_DELETED = "badge_template.deleted"

CALLS = 2
"""To Credly that a webhook takes as a rule: for the event, and for the badge or template."""

FORBIDDEN = 403


@dataclass(frozen=True)
class _Ignored:
    words: str


@dataclass(frozen=True)
class _Refused:
    words: str


_Ending = Seen | Unsettled | _Ignored | _Refused | Failure


def webhook(webhook_id: int) -> Done:
    """Handle one webhook.  Returns what follows.  May be repeated, by several at once.

    1. Leave alone what is not due; hold back what must not be asked for now.
    2. Claim it.
    3. Fetch the event from Credly with the organization's own key; refuse what Credly does not know.
    4. Read the badge or template it is about, as it is now, and take over what changed.
    5. Record the result in words, or when to try again.

    Raises:
        DatabaseError, InterfaceError: the database is at fault; the webhook stays due.
    """
    row = webhooks.due(webhook_id)
    if row is None:
        return Done()
    closed_until = gate.closed_until(row.organization)
    if closed_until:
        webhooks.hold_back(row, closed_until, f"Credly was not asked: {gate.words(row.organization)}")
        return Done()
    try:
        client = organizations.client(row.organization)
    except organizations.KeyMissing as missing:
        webhooks.hold_back(row, gate.refused(row.organization, str(missing)), str(missing))
        return Done()
    with pace.turn(row.organization, CALLS) as may_call:
        if not may_call:
            webhooks.hold_back(row, timezone.now() + pace.HELD_BACK, row.error)
        claim = webhooks.claim(row) if may_call else None
        if claim is None:
            gate.pass_on(row.organization)
            return Done()
        return _handle(client, claim)


def _handle(client: CredlyClient, claim: Claim) -> Done:
    try:
        ending = _verify(client, claim)
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a webhook causes must show in its row, and not for ever at once
        logger.error("Webhook %s: %s; to be tried again", claim.webhook.pk, type(error).__name__)
        ending = Unsettled(f"{type(error).__name__} on our side.")
    return _record(client, claim, ending)


def _verify(client: CredlyClient, claim: Claim) -> _Ending:
    row = claim.webhook
    outcome = client.event(row.event)
    if isinstance(outcome, Confirmed | Rejected):
        answered(row.organization)
    match outcome:
        case Confirmed(value=event) if event.organization != row.organization.uuid:
            return _Refused("Credly tells this event of another organization.")
        case Confirmed(value=event):
            webhooks.verified(claim, event.event_type)
            return _obey(client, claim, event)
        case Rejected(status=404):
            shown_by = row.received_at + SHOWN_WITHIN
            if timezone.now() < shown_by:
                return Unsettled("Credly does not know this event, or not yet.", shown_by)
            return _Refused("Credly knows no such event.")
        case _:
            return outcome


def _obey(client: CredlyClient, claim: Claim, event: CredlyEvent) -> _Ending:
    row = claim.webhook
    is_second_look = row.error == observations.NOT_SHOWN
    kind = event.event_type.partition(".")[0]
    if kind == "badge":
        is_absence_certain = is_second_look or event.event_type == BADGE_DELETED
        return _about_badge(client, row.organization, event, is_absence_certain)
    if kind == "badge_template":
        is_absence_certain = is_second_look or event.event_type == TEMPLATE_DELETED
        return _about_template(client, row.organization, event, is_absence_certain)
    return _Ignored("Events of this type tell nothing about our badges and templates.")


def _about_badge(
    client: CredlyClient, organization: Organization, event: CredlyEvent, is_absence_certain: bool
) -> _Ending:
    if event.badge_id is None:
        return _Ignored("Credly does not say which badge this is about.")
    ours = Badge.objects.select_related("learner", "template").filter(template__organization=organization)
    # Asked before the badge is looked for: one that is recorded in between is then found by its id.
    some_are_being_issued = ours.filter(credly_state=CredlyState.ISSUING).exists()
    badge = ours.filter(credly_id=event.badge_id).first()
    if badge is not None:
        seen = observe(client, badge, SOURCE, is_absence_certain=is_absence_certain)
        return replace(seen, words=f"{badge}: {seen.words}") if isinstance(seen, Seen) else seen
    if some_are_being_issued:
        issued = client.badge(event.badge_id)
        if isinstance(issued, Confirmed) and _may_become_ours(issued.value):
            return Unsettled("Our own call to issue this badge is not recorded yet.")
        if not isinstance(issued, Confirmed | Rejected):
            return issued
    return _Ignored("This badge was not issued by us.")


def _may_become_ours(issued: IssuedBadge) -> bool:
    """Whether a badge of ours is being issued that may turn out to be this one, or just did."""
    earner = issued.issuer_earner_id or ""
    being_issued = Q(
        credly_state=CredlyState.ISSUING,
        template__uuid=issued.template,
        learner__lms_user_id=int(earner) if earner.isdecimal() else None,
    )
    return Badge.objects.filter(being_issued | Q(credly_id=issued.id)).exists()


def _about_template(
    client: CredlyClient, organization: Organization, event: CredlyEvent, is_absence_certain: bool
) -> _Ending:
    if event.template_id is None:
        return _Ignored("Credly does not say which template this is about.")
    ours = Template.objects.filter(uuid=event.template_id, organization=organization).first()
    outcome = client.template(event.template_id)
    match outcome:
        case Confirmed(value=info) if ours is not None or info.state == TemplateState.ACTIVE:
            change = syncing.take_over(organization, info)
        case Rejected(status=404) if ours is not None and not is_absence_certain:
            return not_shown()
        case Rejected(status=404) if ours is not None:
            change = syncing.withdraw(ours, TemplateState.ARCHIVED, "not at Credly any more")
        case Confirmed() | Rejected(status=404):
            return _Ignored("This template is not active at Credly and not known here.")
        case _:
            return outcome
    return Seen(str(change) if change else "The template is at Credly as it is here.")


def _record(client: CredlyClient, claim: Claim, ending: _Ending) -> Done:
    match ending:
        case Seen(words=words, done=done):
            webhooks.end(claim, WebhookState.HANDLED, words)
            return done
        case _Ignored(words=words):
            webhooks.end(claim, WebhookState.IGNORED, words)
        case _Refused(words=words):
            webhooks.end(claim, WebhookState.REFUSED, words)
        case Unsettled(reason=reason, until=until):
            webhooks.postpone(claim, reason, until)
        case _:
            _try_later(client, claim, ending)
    return Done()


def _try_later(client: CredlyClient, claim: Claim, failure: Failure) -> None:
    """A look at Credly failed: nothing is known, and nothing is given up for that."""
    now = timezone.now()
    match failure:
        case Unauthorized(message=message) if failure.status == FORBIDDEN and _key_works(client):
            later = now + max(gate.PROBE_LASTS, claims.wait(claim.webhook.attempts + 1))
            webhooks.postpone(claim, f"Credly forbids this call: {message}", later)
            answered(claim.webhook.organization)
        case Unauthorized(message=message):
            until = gate.refused(claim.webhook.organization, message)
            webhooks.postpone(claim, f"Credly refuses the organization's key: {message}", until)
        case Throttled(retry_after=seconds):
            named = now + timedelta(seconds=seconds) if seconds else None
            webhooks.postpone(claim, "Credly asked for fewer calls.", named)
            unanswered(claim.webhook.organization, failure)
        case Rejected(message=message) | Duplicate(message=message):
            webhooks.postpone(claim, f"Credly says: {message}")
        case Unavailable(reason=reason) | Unknown(reason=reason):
            webhooks.postpone(claim, reason)
            unanswered(claim.webhook.organization, failure)
        case _:
            assert_never(failure)


def _key_works(client: CredlyClient) -> bool:
    return isinstance(client.organization(), Confirmed)
