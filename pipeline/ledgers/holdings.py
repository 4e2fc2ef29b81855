"""Holdings: what Credly holds of our badges, and the claims under which calls are made.

Answers are facts about Credly and are recorded even by a worker whose claim ran out meanwhile; failures count only for
the holder of the claim.
"""

import enum
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, DateTimeField, Q, Value, When
from django.utils import timezone

from pipeline.ledgers import claims, outbox
from pipeline.models import Badge, BadgeHistory, CredlyState, Organization, Standing


class Step(enum.Enum):
    """What to do at Credly to bring it to a badge's standing."""

    ISSUE = "issue"
    LOOK_UP_THEN_ISSUE = "look up, then issue"
    LOOK_UP_THEN_CANCEL = "look up, then cancel"
    REVOKE = "revoke"
    LOOK_UP_THEN_REVOKE = "look up, then revoke"


STEPS = {
    # (standing, what Credly holds): what to do; a state that names a call whose answer never came is looked up first
    (Standing.AWARDED, CredlyState.NONE): Step.ISSUE,
    (Standing.AWARDED, CredlyState.ISSUING): Step.LOOK_UP_THEN_ISSUE,
    (Standing.REVOKED, CredlyState.ISSUING): Step.LOOK_UP_THEN_CANCEL,
    (Standing.REVOKED, CredlyState.PENDING): Step.REVOKE,
    (Standing.REVOKED, CredlyState.ACCEPTED): Step.REVOKE,
    (Standing.REVOKED, CredlyState.REJECTED): Step.REVOKE,
    (Standing.REVOKED, CredlyState.REVOKING): Step.LOOK_UP_THEN_REVOKE,
}
WHILE = {
    Step.ISSUE: CredlyState.ISSUING,
    Step.LOOK_UP_THEN_ISSUE: CredlyState.ISSUING,
    Step.LOOK_UP_THEN_CANCEL: CredlyState.ISSUING,
    Step.REVOKE: CredlyState.REVOKING,
    Step.LOOK_UP_THEN_REVOKE: CredlyState.REVOKING,
}
LIVE = (
    CredlyState.ISSUING,
    CredlyState.PENDING,
    CredlyState.ACCEPTED,
    CredlyState.REJECTED,
    CredlyState.REVOKING,
)


@dataclass(frozen=True)
class Claim:
    """The right to make the calls of `step` for a badge (as it was read before the claim)."""

    badge: Badge
    token: uuid.UUID
    step: Step


@dataclass(frozen=True)
class Done:
    """What follows: signals to emit, badges with more to do.  Ids."""

    signals: list[int] = field(default_factory=list)
    badges: list[int] = field(default_factory=list)


def due(pk: int) -> Badge | None:
    """The badge if it is due and nobody works on it.  One with nothing to do is settled on the way."""
    now = timezone.now()
    badge = Badge.objects.select_related("learner", "template__organization").filter(claims.free(now), pk=pk).first()
    if badge is not None and _key(badge) not in STEPS:
        Badge.objects.filter(pk=pk, standing=badge.standing, credly_state=badge.credly_state).update(
            due_at=None, nudged_at=None
        )
        return None
    return badge


def earlier_cycle_is_live(badge: Badge) -> bool:
    """Whether Credly still holds, or may hold, a badge of an earlier cycle."""
    return Badge.objects.filter(
        learner=badge.learner_id, template=badge.template_id, cycle__lt=badge.cycle, credly_state__in=LIVE
    ).exists()


def claim(badge: Badge) -> Claim | None:
    """Claim the badge for its next step and note in the database that the call is out, before it is."""
    step = STEPS[_key(badge)]
    token = claims.take(
        badge, standing=(badge.standing, badge.standing), credly_state=(badge.credly_state, WHILE[step])
    )
    return Claim(badge, token, step) if token else None


def renew(claim: Claim) -> bool:
    """Before each further call: may it be made, and hold the claim for as long again.  May be repeated.

    No, if the claim ran out, or if the badge's standing changed since: then the claim ends and the badge is due at once.
    """
    mine = Badge.objects.filter(pk=claim.badge.pk, claim=claim.token)
    if mine.filter(standing=claim.badge.standing).update(claimed_until=timezone.now() + claims.CLAIM_LASTS):
        return True
    mine.update(credly_state=claim.badge.credly_state, **_claim_ends("", error=claim.badge.error))
    return False


def held(claim: Claim, credly_id: uuid.UUID, state: CredlyState, how: str) -> Done:
    """Credly holds the badge.  Writes the `awarded` signal, once.  May be repeated."""
    badge = claim.badge
    with transaction.atomic():
        recorded = Badge.objects.filter(Q(claim=claim.token) | Q(credly_id=None), pk=badge.pk).update(
            credly_state=state, credly_id=credly_id, attempts=0, **_claim_ends(Standing.AWARDED)
        )
        _history(claim, f"{how}: {state} at Credly as {credly_id}")
        signals = outbox.write(badge, outbox.AWARDED) if recorded else []
    return Done(signals=signals, badges=_still_due(badge))


def withdrawn(claim: Claim, how: str) -> Done:
    """Credly has revoked the badge (or holds it no more).  Writes the `revoked` signal, once.  May be repeated."""
    badge = claim.badge
    with transaction.atomic():
        recorded = Badge.objects.filter(pk=badge.pk, credly_state=CredlyState.REVOKING).update(
            credly_state=CredlyState.REVOKED, attempts=0, **_claim_ends(Standing.REVOKED)
        )
        _history(claim, how)
        signals = outbox.write(badge, outbox.REVOKED) if recorded else []
        badges = next_cycle(badge)
    return Done(signals=signals, badges=badges)


def next_cycle(badge: Badge) -> list[int]:
    """This badge is revoked: the one that waited for it, if any, is due now.  Returns its id.  May be repeated."""
    waiting = Badge.objects.filter(
        learner=badge.learner_id, template=badge.template_id, cycle=badge.cycle + 1, due_at__isnull=False
    )
    waiting.update(due_at=timezone.now())
    return list(waiting.values_list("pk", flat=True))


def replaced(claim: Claim, credly_id: uuid.UUID) -> Done:
    """At Credly another badge took the place of this one: it is the one to work on, after a while.  May be repeated."""
    later = timezone.now() + claims.wait(claim.badge.attempts + 1)
    ends = _claim_ends(claim.badge.standing, due_at=later)
    _record(claim, f"replaced at Credly by {credly_id}", credly_state=CredlyState.PENDING, credly_id=credly_id, **ends)
    return Done(badges=_still_due(claim.badge))


def cancelled(claim: Claim) -> Done:
    """Credly holds nothing and shall hold nothing.  No signal: the badge was never held.  May be repeated."""
    ends = _claim_ends(Standing.REVOKED)
    _record(claim, "cancelled before Credly held it", credly_state=CredlyState.NONE, attempts=0, **ends)
    return Done(badges=_still_due(claim.badge))


def failed(claim: Claim, reason: str) -> Done:
    """Credly refused for good, or would: a person must look.  May be repeated."""
    ends = _claim_ends(claim.badge.standing, error=reason)
    _record(claim, f"refused: {reason}", credly_state=CredlyState.FAILED, **ends)
    return Done()


def postponed(claim: Claim, state: CredlyState, reason: str, until: datetime | None = None) -> Done:
    """No result: try again, `until` given or after a growing wait.  May be repeated.

    Args:
        claim: the claim, which ends.
        state: what is known of Credly now: the state before the call if it is sure that nothing was done, else the one
            that says that a call is out.
        reason: for the operator.
        until: when to try again.
    """
    again = until or timezone.now() + claims.wait(claim.badge.attempts + 1)
    ends = _claim_ends(claim.badge.standing, due_at=again, error=reason)
    _record(claim, f"to be tried again: {reason}", credly_state=state, **ends)
    return Done()


def hold_back(badge: Badge, until: datetime, reason: str) -> None:
    """Something forbids to call at all: look again at `until`.  No attempt is counted.  May be repeated."""
    Badge.objects.filter(claims.free(timezone.now()), pk=badge.pk).update(due_at=until, nudged_at=None, error=reason)


def resume(organization: Organization) -> None:
    """All badges of the organization that wait for a time to come are due now.  May be repeated."""
    now = timezone.now()
    Badge.objects.filter(template__organization=organization, due_at__gt=now).update(due_at=now)


def belongs_to_another(credly_id: uuid.UUID, badge: Badge) -> bool:
    """Whether another badge of ours is this one at Credly."""
    return Badge.objects.filter(credly_id=credly_id).exclude(pk=badge.pk).exists()


def redrive(badge: Badge) -> bool:
    """Try a `failed` badge again; Credly is looked at first where it may hold it.  May be repeated.

    Says whether there was anything to try: a revoked badge that Credly never held needs nothing, and one of which
    another cycle is live has to wait for that.
    """
    again = {
        (Standing.AWARDED, False): CredlyState.NONE,
        (Standing.AWARDED, True): CredlyState.ISSUING,
        (Standing.REVOKED, True): CredlyState.REVOKING,
    }.get((Standing(badge.standing), badge.credly_id is not None))
    if again is None:
        return False
    failed = Badge.objects.filter(
        pk=badge.pk, standing=badge.standing, credly_id=badge.credly_id, credly_state=CredlyState.FAILED
    )
    try:
        with transaction.atomic():
            return bool(failed.update(credly_state=again, due_at=timezone.now(), attempts=0))
    except IntegrityError:
        return False


def named_due(limit: int) -> list[int]:
    """Badges for housekeeping to nudge; those of an organization that must not be called now are left out."""
    closed = Q(template__organization__call_again_at__gt=timezone.now())
    return claims.due(Badge.objects.exclude(closed), limit)


def _key(badge: Badge) -> tuple[Standing, CredlyState]:
    return Standing(badge.standing), CredlyState(badge.credly_state)


def _claim_ends(standing: str, *, due_at: datetime | None = None, error: str = "") -> dict[str, Any]:
    """The columns of a claim's end: due at `due_at`, or at once if the standing changed while the call was out."""
    due = Case(
        When(standing=standing, then=Value(due_at, output_field=DateTimeField(null=True))),
        default=Value(timezone.now()),
    )
    return {"claim": None, "claimed_until": None, "error": error, "due_at": due}


def _still_due(badge: Badge) -> list[int]:
    return list(Badge.objects.filter(claims.free(timezone.now()), pk=badge.pk).values_list("pk", flat=True))


def _record(claim: Claim, outcome: str, /, **changes: Any) -> None:
    """Write what came of a claim, if it is still held."""
    with transaction.atomic():
        if Badge.objects.filter(pk=claim.badge.pk, claim=claim.token).update(**changes):
            _history(claim, outcome)


def _history(claim: Claim, outcome: str) -> None:
    BadgeHistory.objects.create(badge=claim.badge, what=claim.step.value, outcome=outcome)
