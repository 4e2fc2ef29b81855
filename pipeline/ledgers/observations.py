"""Observations: what Credly says of a badge of its own accord, told by a webhook or seen when an operator looks.

Credly is the authority on what it holds.  Each function is one conditional update that says whether it changed anything.
The badge is passed as it was read before Credly was asked: if it changed since, somebody may know more, and nothing is
written over that.
"""

import uuid

from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When

from pipeline.ledgers import holdings, outbox
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, RevokedBy, Standing

HELD = (CredlyState.PENDING, CredlyState.ACCEPTED, CredlyState.REJECTED)
MAY_BE_HELD = (*HELD, CredlyState.REVOKING, CredlyState.FAILED)

NOT_SHOWN = "Credly does not show it now; if it still does not in half a minute, it is gone."
"""What is noted of a badge or template after a first look in vain, and shows that the next look is the second."""


def held(badge: Badge, state: CredlyState, source: str, actor: str = "") -> bool:
    """Credly holds the badge in this state: `pending`, `accepted` or `rejected`.  May be repeated.

    Says whether that was news.  Left as it is: a badge that changed since it was read, that is being issued or revoked,
    that was revoked, or that failed, which a person must look at.

    1. Set the state.
    2. Write the history.

    Args:
        badge: as it was read before Credly was asked.
        state: what Credly says.
        source: how we know, for the history.
        actor: the operator who looked, if one did.
    """
    with transaction.atomic():
        news = _held_as_read(badge).exclude(credly_state=state).update(credly_state=state)
        if news:
            BadgeHistory.objects.create(badge=badge, what=source, outcome=f"{state} at Credly", actor=actor)
    return bool(news)


def replaced(badge: Badge, credly_id: uuid.UUID, state: CredlyState, source: str, actor: str = "") -> bool:
    """At Credly another badge, in this state, took the place of this one.  May be repeated.

    Says whether that was news; what `held` leaves as it is, this leaves too.

    1. Set the id at Credly and the state.
    2. Write the history.

    Raises:
        django.db.IntegrityError: another badge of ours has that id.
    """
    with transaction.atomic():
        news = _held_as_read(badge).update(credly_id=credly_id, credly_state=state)
        if news:
            outcome = f"replaced at Credly by {credly_id}, {state}"
            BadgeHistory.objects.create(badge=badge, what=source, outcome=outcome, actor=actor)
    return bool(news)


def gone(badge: Badge, how: str, source: str, actor: str = "") -> Done:
    """Credly holds the badge no more.  Writes the `revoked` signal, once; if it returns none, this was no news.

    Where the rules still award it, somebody at Credly decided otherwise, and no event gives it back.  A badge that is being
    issued is left as it is: the answer to that call is still to come.  One that Credly never held is none of ours to lose.
    May be repeated.

    1. Lock the learner, so that no event changes the badge's standing meanwhile.
    2. Set standing and state, and end any claim: who holds it finds nothing more to do.
    3. Write the history and the signal; have the badge of the next cycle issued, if one waits.

    Args:
        badge: as it was read before Credly was asked.
        how: what Credly says of it, for the history: "revoked at Credly", "deleted at Credly".
        source: how we know, for the history.
        actor: the operator who looked, if one did.
    """
    with transaction.atomic():
        Learner.objects.select_for_update().get(pk=badge.learner_id)
        # Nothing follows on `revoked` at Credly, so here it does not matter what else changed since the badge was read.
        news = (
            _of_credly(badge)
            .filter(credly_state__in=MAY_BE_HELD)
            .update(
                # MySQL goes from left to right: what asks about a column comes before what sets it.
                revoked_by=Case(When(standing=Standing.AWARDED, then=Value(RevokedBy.CREDLY)), default=F("revoked_by")),
                standing=Standing.REVOKED,
                credly_state=CredlyState.REVOKED,
                attempts=0,
                claim=None,
                claimed_until=None,
                due_at=None,
                error="",
            )
        )
        if not news:
            return Done()
        BadgeHistory.objects.create(badge=badge, what=source, outcome=how, actor=actor)
        return Done(signals=outbox.write(badge, outbox.REVOKED), badges=holdings.next_cycle(badge))


def _of_credly(badge: Badge) -> QuerySet[Badge]:
    """The badge, if it is still this one at Credly; a badge without an id there is none."""
    return Badge.objects.filter(pk=badge.pk, credly_id=badge.credly_id, credly_id__isnull=False)


def _held_as_read(badge: Badge) -> QuerySet[Badge]:
    return _of_credly(badge).filter(credly_state=badge.credly_state, credly_state__in=HELD)
