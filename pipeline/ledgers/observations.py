"""Observations: what Credly says of a badge of its own accord, told by a webhook or seen when an operator looks.

Credly is the authority on what it holds.  Each function is one conditional update that says whether it changed anything.
"""

import uuid

from django.db import transaction
from django.db.models import Case, F, Value, When

from pipeline.ledgers import holdings, outbox
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, BadgeHistory, CredlyState, RevokedBy, Standing

HELD = (CredlyState.PENDING, CredlyState.ACCEPTED, CredlyState.REJECTED)
MAY_BE_HELD = (*HELD, CredlyState.REVOKING, CredlyState.FAILED)


def held(badge: Badge, state: CredlyState, source: str, actor: str = "") -> bool:
    """Credly holds the badge in this state: `pending`, `accepted` or `rejected`.  May be repeated.

    Says whether that was news.  A badge that is being revoked, or was, is left as it is.

    Args:
        badge: as it was read; it must have a Credly id.
        state: what Credly says.
        source: how we know, for the history.
        actor: the operator who looked, if one did.
    """
    with transaction.atomic():
        news = (
            Badge.objects.filter(pk=badge.pk, credly_id=badge.credly_id, credly_state__in=HELD)
            .exclude(credly_state=state)
            .update(credly_state=state)
        )
        if news:
            BadgeHistory.objects.create(badge=badge, what=source, outcome=f"{state} at Credly", actor=actor)
    return bool(news)


def gone(badge: Badge, how: str, source: str, actor: str = "") -> Done:
    """Credly holds the badge no more.  Writes the `revoked` signal, once.  May be repeated.

    Where the rules still award it, somebody at Credly decided otherwise, and no event gives it back.

    Args:
        badge: as it was read; it must have a Credly id.
        how: what Credly says of it, for the history: "revoked at Credly", "deleted at Credly".
        source: how we know, for the history.
        actor: the operator who looked, if one did.
    """
    with transaction.atomic():
        news = Badge.objects.filter(pk=badge.pk, credly_id=badge.credly_id, credly_state__in=MAY_BE_HELD).update(
            revoked_by=Case(When(standing=Standing.AWARDED, then=Value(RevokedBy.CREDLY)), default=F("revoked_by")),
            standing=Standing.REVOKED,
            credly_state=CredlyState.REVOKED,
            attempts=0,
            claim=None,
            claimed_until=None,
            due_at=None,
            error="",
        )
        if not news:
            return Done()
        BadgeHistory.objects.create(badge=badge, what=source, outcome=how, actor=actor)
        return Done(signals=outbox.write(badge, outbox.REVOKED), badges=holdings.next_cycle(badge))


def replaced(badge: Badge, credly_id: uuid.UUID, state: CredlyState, source: str, actor: str = "") -> bool:
    """At Credly another badge, in this state, took the place of this one.  Says whether that was news.  May be repeated."""
    with transaction.atomic():
        news = Badge.objects.filter(pk=badge.pk, credly_id=badge.credly_id, credly_state__in=HELD).update(
            credly_id=credly_id, credly_state=state
        )
        if news:
            outcome = f"replaced at Credly by {credly_id}, {state}"
            BadgeHistory.objects.create(badge=badge, what=source, outcome=outcome, actor=actor)
    return bool(news)
