"""Holdings: what Credly holds of our badges, and the claims under which calls are made.

Answers are facts about Credly and are recorded even by a worker whose claim ran out meanwhile; failures count only for
the holder of the claim.
"""

import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, DateTimeField, F, Q, QuerySet, Value, When
from django.db.models.functions import Least
from django.utils import timezone

from pipeline.ledgers import claims, outbox, siblings, steps
from pipeline.ledgers.steps import Step
from pipeline.ledgers.tracebacks import own_frames
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, Organization, Standing

logger = logging.getLogger(__name__)

SURELY_EFFECTIVE = timedelta(seconds=60)
"""After this a call whose answer never came has had its effect or never will."""

FRESH = timedelta(seconds=1)
"""A claim that was asked for less long ago has nearly all of its time before it."""

CALL_OUT = (CredlyState.ISSUING, CredlyState.REVOKING)
"""A call is out, or its answer never came: the next step looks what Credly holds, but not before the effect shows there."""

GATE_CLOSED = "Credly is not called for now:"
"""How the error of a badge begins that its organization's gate holds back: such a badge goes on when the gate opens."""


_UNCLAIMED: dict[str, Any] = {"claim": None, "claimed_until": None}
_SETTLED = {**_UNCLAIMED, "taken_up": 0, "error": "", "traceback": "", "due_at": None}
LIVE = (
    CredlyState.ISSUING,
    CredlyState.PENDING,
    CredlyState.ACCEPTED,
    CredlyState.REJECTED,
    CredlyState.REVOKING,
)


@dataclass(frozen=True)
class Claim:
    """The right to make the calls of `step` for a badge (as it was read before the claim), asked for at a time."""

    badge: Badge
    token: uuid.UUID
    step: Step
    asked_at: datetime


@dataclass(frozen=True)
class Done:
    """What follows: signals to emit, badges with more to do.  Ids."""

    signals: list[int] = field(default_factory=list)
    badges: list[int] = field(default_factory=list)


def due(pk: int) -> Badge | None:
    """The badge if it is due and nobody works on it.  One with nothing to do is settled on the way."""
    free = Badge.objects.filter(claims.free(timezone.now()), pk=pk)
    badge = next(iter(free.select_related("learner", "template__organization")), None)
    if badge is not None and steps.at_rest(badge):
        Badge.objects.filter(pk=pk, standing=badge.standing, credly_state=badge.credly_state).update(
            due_at=None, nudged_at=None
        )
        return None
    return badge


def earlier_cycle_is_live(badge: Badge) -> bool:
    """Whether Credly still holds, or may hold, a badge of an earlier cycle."""
    return same(badge).filter(cycle__lt=badge.cycle, credly_state__in=LIVE).exists()


def same(badge: Badge) -> QuerySet[Badge]:
    """The cycles of this badge: its learner's, of its template, for its value."""
    return Badge.objects.filter(learner=badge.learner_id, template=badge.template_id, value=badge.value)


def claim(badge: Badge) -> Claim | None:
    """Claim the badge for its next step and note in the database that the call is out, before it is.

    None if somebody else has it, or if it was taken up too often without a result: then it is `failed`.  One that may be
    what kills its worker is claimed only while no other such badge is: calls share a process, and whoever died with the
    guilty one must get a result without it.
    """
    if badge.value == "":
        return _claim_unless_suspect(badge)
    with transaction.atomic():
        Learner.objects.select_for_update().get(pk=badge.learner_id)
        return None if siblings.another_is_being_issued(badge) else _claim_unless_suspect(badge)


def _claim_unless_suspect(badge: Badge) -> Claim | None:
    if badge.taken_up >= claims.MOST_TAKEN_UP:
        _give_up(badge)
        return None
    if badge.taken_up < claims.SUSPECT_FROM:
        return _claim(badge)
    with transaction.atomic():
        suspects = Badge.objects.filter(due_at__isnull=False, taken_up__gte=claims.SUSPECT_FROM).order_by("pk")
        # Locked, all of them: two who look at the same moment would else both find nobody.
        now = timezone.now()
        if not any(row.claimed_until and row.claimed_until > now for row in suspects.select_for_update()):
            return _claim(badge)
        Badge.objects.filter(pk=badge.pk).update(nudged_at=None)
        return None


def _claim(badge: Badge) -> Claim | None:
    next_step, now = steps.step(badge), timezone.now()
    token = claims.take(
        badge, standing=(badge.standing, badge.standing), credly_state=(badge.credly_state, steps.WHILE[next_step])
    )
    return Claim(badge, token, next_step, now) if token else None


def _give_up(badge: Badge) -> None:
    reason = f"Taken up {badge.taken_up} times without a result: its worker died of it, or was killed, each time."
    mine = Badge.objects.filter(claims.free(timezone.now()), pk=badge.pk, taken_up=badge.taken_up)
    with transaction.atomic():
        if mine.update(credly_state=CredlyState.FAILED, **_UNCLAIMED, due_at=None, error=reason):
            BadgeHistory.objects.create(badge=badge, what="set aside", outcome=reason)
            logger.error("Badge %s was taken up %s times without a result; failed", badge.uuid, badge.taken_up)


def still_claimed(claim: Claim) -> bool:
    """Before a call that changes something: may it be made?  May be repeated.

    After a look-up the claim is renewed; also if the database had the claim itself wait.
    """
    is_fresh = timedelta() <= timezone.now() - claim.asked_at < FRESH
    return (is_fresh and claim.step in steps.AT_ONCE) or renew(claim)


def renew(claim: Claim) -> bool:
    """Before each further call: may it be made, and hold the claim for as long again.  May be repeated.

    No, if the claim ran out, or if the badge's standing changed since: then the claim ends and the badge is due at once.
    """
    mine = Badge.objects.filter(pk=claim.badge.pk, claim=claim.token)
    if mine.filter(standing=claim.badge.standing).update(claimed_until=timezone.now() + claims.CLAIM_LASTS):
        return True
    mine.update(credly_state=claim.badge.credly_state, **_claim_ends("", error=claim.badge.error))
    return False


def put_down(claim: Claim) -> None:
    """The database, not the badge, is at fault that there is no result: uncount that it was taken up.

    The claim stays and runs out by itself: a call may have been made, and its effect must show before the next look.
    """
    mine = Badge.objects.filter(pk=claim.badge.pk, claim=claim.token, taken_up__gt=0)
    mine.update(taken_up=F("taken_up") - 1)


def held(claim: Claim, credly_id: uuid.UUID, state: CredlyState, how: str) -> Done:
    """Credly holds the badge.  Writes the `awarded` signal, once.  May be repeated.

    Should the learner's badge for another value hold this very one by now, because this answer came after the claim ran
    out, the badge is looked for again.
    """
    try:
        return _held(claim, credly_id, state, how)
    except IntegrityError:
        if not of_others([credly_id], claim.badge):
            raise
        reason = f"{how} as {credly_id}, which another badge holds"
        return postponed(claim, CredlyState.ISSUING, reason)


def _held(claim: Claim, credly_id: uuid.UUID, state: CredlyState, how: str) -> Done:
    badge = claim.badge
    known = {"credly_state": state, "credly_id": credly_id, "attempts": 0}
    with transaction.atomic():
        settled = _unchanged(claim, Standing.AWARDED).update(**known, **_SETTLED)
        recorded = settled or Badge.objects.filter(Q(claim=claim.token) | Q(credly_id=None), pk=badge.pk).update(
            **known, **_claim_ends(Standing.AWARDED)
        )
        _history(claim, f"{how}: {state} at Credly as {credly_id}")
        signals = outbox.write(badge, outbox.AWARDED) if recorded else []
        waiting = siblings.waiting_for(badge)
        Badge.objects.filter(pk__in=waiting).update(due_at=timezone.now())
    return Done(signals=signals, badges=waiting if settled else [*_still_due(badge), *waiting])


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
    waiting = same(badge).filter(cycle=badge.cycle + 1, due_at__isnull=False)
    found = list(waiting.values_list("pk", flat=True))
    if found:
        waiting.update(due_at=timezone.now())
    return found


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
    now = timezone.now()
    again = until or now + claims.wait(claim.badge.attempts + 1)
    # A look-up that waits for the effect of a lost call is not brought forward, whatever the rules say by now.
    if_changed = min(again, now + SURELY_EFFECTIVE) if state in CALL_OUT else now
    ends = _claim_ends(claim.badge.standing, due_at=again, if_changed=if_changed, error=reason)
    _record(claim, f"to be tried again: {reason}", credly_state=state, **ends)
    return Done()


def stumbled(claim: Claim, error: Exception) -> Done:
    """Our own code raised: try again after a growing wait; `MOST_TAKEN_UP` times in a row, and the badge is `failed`.

    The error's own text is not kept: it may quote the learner's data.  May be repeated.
    """
    taken_up = claim.badge.taken_up + 1
    given_up = taken_up >= claims.MOST_TAKEN_UP
    reason = f"{type(error).__name__} on our side."
    again = None if given_up else timezone.now() + claims.wait(taken_up)
    # Still counted as taken up, since this is no result.
    changes = _claim_ends(claim.badge.standing, due_at=again, if_changed=again, error=reason) | {
        "credly_state": CredlyState.FAILED if given_up else steps.WHILE[claim.step],
        "taken_up": F("taken_up"),
        "traceback": own_frames(error),
    }
    _record(claim, f"set aside: {reason}" if given_up else f"to be tried again: {reason}", **changes)
    logger.error("Badge %s: %s; %s", claim.badge.uuid, reason, "failed" if given_up else "to be tried again")
    return Done()


def hold_back(badge: Badge, until: datetime, reason: str) -> None:
    """Something forbids to call at all: look again at `until`.  No attempt is counted.  May be repeated.

    `reason` begins with `GATE_CLOSED` if it is the organization that must not be called.
    """
    Badge.objects.filter(claims.free(timezone.now()), pk=badge.pk).update(due_at=until, nudged_at=None, error=reason)


def resume(organization: Organization) -> None:
    """The organization may be called again: its badges that the gate held back are due now.  May be repeated.

    Others keep their time (a look-up that waits for the effect of a lost call, a time that Credly named); so does one that
    is being written to at this moment.
    """
    now = timezone.now()
    held_back = Badge.objects.filter(template__organization=organization, error__startswith=GATE_CLOSED, due_at__gt=now)
    with transaction.atomic():
        named = list(claims.unlocked(held_back).values_list("pk", flat=True))
        Badge.objects.filter(pk__in=named).update(due_at=now)


def soonest() -> Case:
    """The time to write where a badge shall be worked on as soon as may be: now.

    But where a call to Credly is out a look-up comes next, and that keeps its time, or comes when the call has surely had
    its effect.  Sooner, Credly may not show what the call did, and a second badge might be issued.
    """
    now = timezone.now()
    waits = When(credly_state__in=CALL_OUT, due_at__gt=now, then=Least(F("due_at"), Value(now + SURELY_EFFECTIVE)))
    return Case(waits, default=Value(now))


def of_others(credly_ids: Collection[uuid.UUID], badge: Badge) -> set[uuid.UUID]:
    """Those of these badges at Credly that are badges of ours, but not this one."""
    others = Badge.objects.filter(credly_id__in=credly_ids).exclude(pk=badge.pk)
    return {each for each in others.values_list("credly_id", flat=True) if each}


def redrive(badge: Badge) -> bool:
    """Try a `failed` badge again; Credly is looked at first where it may hold it.  May be repeated.

    One that was set aside without a result counts as such: nobody knows what its last call did.

    Says whether there was anything to try: a revoked badge that Credly never held needs nothing, and one of which
    another cycle is live has to wait for that.
    """
    again = _state_again(badge)
    if again is None:
        return False
    failed = Badge.objects.filter(
        pk=badge.pk, standing=badge.standing, credly_id=badge.credly_id, credly_state=CredlyState.FAILED
    )
    try:
        with transaction.atomic():
            return bool(failed.update(credly_state=again, due_at=timezone.now(), attempts=0, taken_up=0, traceback=""))
    except IntegrityError:
        return False


def _state_again(badge: Badge) -> CredlyState | None:
    """The state in which a failed badge is tried again; None if nothing is to be tried."""
    may_be_held = badge.credly_id is not None or badge.taken_up > 0
    if badge.standing == Standing.REVOKED and badge.credly_id is not None:
        return CredlyState.REVOKING
    if may_be_held:
        return CredlyState.ISSUING
    return CredlyState.NONE if badge.standing == Standing.AWARDED else None


def named_due(limit: int) -> list[int]:
    """Badges for housekeeping to nudge; those of an organization that must not be called now are left out."""
    closed = Q(template__organization__call_again_at__gt=timezone.now())
    return claims.due(Badge.objects.exclude(closed), limit)


def _unchanged(claim: Claim, standing: Standing) -> QuerySet[Badge]:
    """The badge, if the claim is still held and this is its standing: as nearly always, and then nothing more is due."""
    return Badge.objects.filter(pk=claim.badge.pk, claim=claim.token, standing=standing)


def _claim_ends(
    standing: str, *, due_at: datetime | None = None, if_changed: datetime | None = None, error: str = ""
) -> dict[str, Any]:
    """The columns of a claim's end with a result.

    Args:
        standing: what it was when the claim was taken.
        due_at: when the badge is due; None if nothing is to be done.
        if_changed: when it is due if the standing changed while the call was out; without it, at once.
        error: for the operator.
    """
    due = Case(
        When(standing=standing, then=Value(due_at, output_field=DateTimeField(null=True))),
        default=Value(if_changed or timezone.now()),
    )
    return {**_UNCLAIMED, "taken_up": 0, "error": error, "traceback": "", "due_at": due}


def _still_due(badge: Badge) -> list[int]:
    return list(Badge.objects.filter(claims.free(timezone.now()), pk=badge.pk).values_list("pk", flat=True))


def _record(claim: Claim, outcome: str, /, **changes: Any) -> None:
    """Write what came of a claim, if it is still held."""
    with transaction.atomic():
        if Badge.objects.filter(pk=claim.badge.pk, claim=claim.token).update(**changes):
            _history(claim, outcome)


def _history(claim: Claim, outcome: str) -> None:
    BadgeHistory.objects.create(badge=claim.badge, what=claim.step.value, outcome=outcome)
