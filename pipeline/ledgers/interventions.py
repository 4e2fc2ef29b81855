"""Interventions: what operators do to badges.  Each writes who did it into the badge's history.

The standing of a badge changes only under its learner's lock, as it does when events arrive.
"""

import enum
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from pipeline import rules
from pipeline.configuration import ruleset
from pipeline.ledgers import badges, holdings
from pipeline.ledgers.progress import Decisions
from pipeline.models import Badge, BadgeHistory, CredlyState, Fulfillment, Learner, RevokedBy, Standing


class Recheck(enum.Enum):
    """What became of the wish to look at Credly."""

    LOOKS = "looks"  # the badge is looked up
    TRIES_AGAIN = "tries again"  # its id at Credly is not known: issuing it is tried again, which looks first
    NOTHING = "nothing"  # Credly was never asked for it, or its answer has yet to come


class Release(enum.Enum):
    """What the rules say of a badge that a person had revoked.  Unless they award it, nothing changes."""

    AWARDED = "awarded"
    NOT_COMPLETE = "not complete"
    TEMPLATE_INACTIVE = "template inactive"
    NOTHING = "nothing"  # no person revoked it


@dataclass(frozen=True)
class Released:
    """What came of a release, and the ids of the badges with something to do."""

    release: Release
    badges: list[int] = field(default_factory=list)


def retry(badge: Badge, actor: str) -> bool:
    """Try a failed badge again, or one that waits for a later time as soon as may be (`holdings.soonest`).  May be repeated.

    Says whether there was anything to try: not for a look-up that comes within a minute anyway.
    """
    with transaction.atomic():
        failed = badge.credly_state == CredlyState.FAILED
        again = holdings.redrive(badge) if failed else _due_now(badge)
        if again:
            BadgeHistory.objects.create(badge=badge, what="retry", outcome="asked for", actor=actor)
    return again


def _due_now(badge: Badge) -> bool:
    now = timezone.now()
    return bool(
        Badge.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=now), pk=badge.pk, due_at__gt=now)
        .exclude(credly_state__in=holdings.CALL_OUT, due_at__lte=now + holdings.SURELY_EFFECTIVE)
        .update(due_at=holdings.soonest(), nudged_at=None)
    )


def revoke(badge: Badge, reason: str, actor: str) -> bool:
    """Revoke a badge for good, whatever the rules say.  Says whether it was still awarded.  May be repeated.

    1. Lock the learner, so that no event changes the badge meanwhile.
    2. Set the standing, with the reason that Credly will show to the learner; the badge is due now.  One that Credly
       refused to issue is cancelled at once; of one that it refused to revoke, revoking is tried again.
    3. Write the history.

    A call that is out meanwhile ends as it ends; whoever made it finds the badge due and revokes or cancels it.
    """
    with transaction.atomic():
        _lock_learner(badge)
        revoked = Badge.objects.filter(pk=badge.pk, standing=Standing.AWARDED).update(
            # MySQL goes from left to right: what asks about a column comes before what sets it.
            due_at=holdings.soonest(),
            standing=Standing.REVOKED,
            revoked_by=RevokedBy.OPERATOR,
            revocation_reason=reason,
            credly_state=Case(
                When(credly_state=CredlyState.FAILED, credly_id=None, taken_up=0, then=Value(CredlyState.NONE)),
                default=F("credly_state"),
            ),
            attempts=0,
            error="",
        )
        if revoked:
            BadgeHistory.objects.create(badge=badge, what="revoked", outcome=f"by an operator: {reason}", actor=actor)
            holdings.redrive(Badge.objects.get(pk=badge.pk))
    return bool(revoked)


def release(badge: Badge, actor: str) -> Released:
    """Let the rules decide again about a badge that a person revoked.  May be repeated.

    1. Lock the learner, so that no event changes the badge meanwhile.
    2. Decide.  Unless the template is active and complete for the learner now, nothing is changed: were the revocation left
       to the rules without an award, a template without `reaward` would never award again.
    3. Count the revocation as one by the rules; a reason that Credly was not told yet is dropped.
    4. Award anew: the same badge if revoking has not begun, else the next cycle.  Also where the template has no
       `reaward`, since a person asked for it.
    """
    with transaction.atomic():
        learner = _lock_learner(badge)
        revoked = Badge.objects.filter(pk=badge.pk, standing=Standing.REVOKED, revoked_by__in=badges.BY_A_PERSON)
        if not revoked.exists():
            return Released(Release.NOTHING)
        template = ruleset.current().ruleset.template(badge.template_id)
        if template is None:
            return Released(Release.TEMPLATE_INACTIVE)
        decided = _decided(badge, template)
        fulfilled = {key: decision for key, decision in decided.items() if decision.fulfilled}
        if not rules.complete(template, fulfilled):
            return Released(Release.NOT_COMPLETE)
        revoked.update(
            revoked_by=RevokedBy.RULES,
            revocation_reason=Case(
                When(credly_state__in=badges.REVOCATION_BEGUN, then=F("revocation_reason")), default=Value("")
            ),
        )
        BadgeHistory.objects.create(badge=badge, what="left to the rules", actor=actor)
        newest = max(fulfilled.values(), key=lambda decision: (decision.time, decision.event))
        again = replace(template, reaward=True)
        changed = badges.follow(
            [
                badges.Change(
                    learner,
                    newest.event,
                    [again],
                    {template.id: decided},
                    news={template.id},
                    values={template.id: badge.value},
                )
            ]
        )
        return Released(Release.AWARDED, changed)


def _decided(badge: Badge, template: rules.Template) -> Decisions:
    rows = Fulfillment.objects.filter(
        progress__learner=badge.learner_id, progress__template=template.id, progress__value=badge.value
    )
    return {row.requirement_id: rules.Decision(row.time, row.event, row.fulfilled) for row in rows}


def recheck(badge: Badge, actor: str) -> Recheck:
    """Note that an operator wants to know what Credly holds; `Recheck.LOOKS` asks the caller to nudge.  May be repeated."""
    if badge.credly_id is None:
        return (
            Recheck.TRIES_AGAIN if badge.credly_state != CredlyState.NONE and retry(badge, actor) else Recheck.NOTHING
        )
    BadgeHistory.objects.create(badge=badge, what="re-check", outcome="asked for", actor=actor)
    return Recheck.LOOKS


def _lock_learner(badge: Badge) -> Learner:
    return Learner.objects.select_for_update().get(pk=badge.learner_id)
