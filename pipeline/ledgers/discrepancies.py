"""Discrepancies: where our badges and Credly's differ, as the last reconciliation found, and their repair.

A repair makes no call.  It brings our badge into a state from which the normal path does the rest, or asks for a look.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from pipeline.ledgers import outbox
from pipeline.models import (
    Badge,
    BadgeHistory,
    CredlyState,
    Discrepancy,
    DiscrepancyKind,
    Learner,
    Organization,
    RevokedBy,
    Signal,
    SignalState,
    Standing,
)

SOURCE = "reconcile"
"""The word for it in the badge's history."""

HELD = (CredlyState.PENDING, CredlyState.ACCEPTED, CredlyState.REJECTED)

AT_REST = Q(due_at=None, claim=None) & ~Q(credly_state__in=(CredlyState.ISSUING, CredlyState.REVOKING))
"""Badges about which no call is out or due: what moves is no discrepancy."""

ISSUED_TWICE = "This badge was issued twice by mistake. The other one stays."
"""What Credly tells the learner when the second of two badges is revoked."""


@dataclass(frozen=True)
class Found:
    """A discrepancy as it was found.

    `badge` is ours, as it was read before Credly was asked, with template and learner; of an extra one that no badge of ours
    is, a newest one of the learner's.  `credly_id` is the badge at Credly.
    """

    kind: DiscrepancyKind
    badge: Badge
    credly_id: uuid.UUID
    detail: str


@dataclass(frozen=True)
class Repair:
    """What became of a repair: `refusal` says in one line why nothing was queued, and is empty if it was.

    `badges` are to be issued or revoked, `rechecks` to be looked up.  Ids.
    """

    refusal: str = ""
    badges: list[int] = field(default_factory=list)
    rechecks: list[int] = field(default_factory=list)


class _RefusedError(Exception):
    """Nothing can be queued; the message says why."""


def replace(organization: Organization, found: Iterable[Found]) -> list[Discrepancy]:
    """Put what was found in place of what the last reconciliation of the organization found.  May be repeated.

    1. Lock the organization, so that of two reconciliations at once one replaces the other's.
    2. Leave out what changed since it was found.
    3. Replace the rows, and note when that was.
    """
    now = timezone.now()
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        Discrepancy.objects.filter(organization=organization).delete()
        order = list(DiscrepancyKind)
        rows = [
            Discrepancy(
                organization=organization,
                kind=each.kind,
                badge=each.badge,
                template_id=each.badge.template_id,
                credly_id=each.credly_id,
                detail=each.detail,
                found_at=now,
            )
            for each in sorted(found, key=lambda each: order.index(each.kind))
            if _still(each)
        ]
        Discrepancy.objects.bulk_create(rows, batch_size=500)
        Organization.objects.filter(pk=organization.pk).update(reconciled_at=now)
    return list(Discrepancy.objects.filter(organization=organization).select_related("badge__learner", "template"))


def _still(found: Found) -> bool:
    """Whether our badge is as it was read and at rest, and the one at Credly no other's of ours by now."""
    badge = found.badge
    as_read = Badge.objects.filter(
        AT_REST, pk=badge.pk, standing=badge.standing, credly_state=badge.credly_state, credly_id=badge.credly_id
    )
    is_others = Badge.objects.filter(credly_id=found.credly_id).exclude(pk=badge.pk)
    return as_read.exists() and not is_others.exists()


def repair(discrepancy: Discrepancy, actor: str) -> Repair:
    """Queue what brings Credly and us together again.  Calls nothing.  May be repeated: nothing is queued twice.

    1. Lock the learner, so that no event changes the badge meanwhile.
    2. Note that the repair is queued; whoever comes second ends here.
    3. By kind:

       * missing: forget the id and issue the badge again, after a look whether Credly holds it after all;
       * different: have Credly looked at, which takes over what it says as a webhook does; a badge that failed to be
         issued is issued after that look, and so adopted;
       * extra: have it revoked, see `_repair_extra`.
    4. Write the history with the actor.

    What can't be queued, because the badge moved on since or never may be, is left as it was.

    Args:
        discrepancy: with its badge.
        actor: who asked for it.
    """
    repairs = {
        DiscrepancyKind.MISSING: _repair_missing,
        DiscrepancyKind.DIFFERENT: _repair_different,
        DiscrepancyKind.EXTRA: _repair_extra,
    }
    if discrepancy.badge is None or discrepancy.credly_id is None:
        return Repair("Its badge is not here any more.")
    try:
        with transaction.atomic():
            learner = Learner.objects.select_for_update().get(pk=discrepancy.badge.learner_id)
            queued = Discrepancy.objects.filter(pk=discrepancy.pk, repair_queued_at=None)
            if not queued.update(repair_queued_at=timezone.now()):
                raise _RefusedError("Its repair is queued already, or a newer reconciliation took its place.")
            return repairs[DiscrepancyKind(discrepancy.kind)](discrepancy.badge, discrepancy.credly_id, learner, actor)
    except _RefusedError as refused:
        return Repair(str(refused))
    except IntegrityError:
        return Repair("Another badge of the learner for this template is live here; this one has to wait for that.")


def _repair_missing(badge: Badge, credly_id: uuid.UUID, learner: Learner, actor: str) -> Repair:
    if learner.retired_at:
        raise _RefusedError("The learner was retired, so there is no e-mail to issue the badge to.")
    awarded = Badge.objects.filter(
        AT_REST, pk=badge.pk, standing=Standing.AWARDED, credly_state__in=HELD, credly_id=credly_id
    )
    if not awarded.update(credly_id=None, credly_state=CredlyState.ISSUING, **_due_anew()):
        raise _RefusedError("The badge changed since.")
    _note(badge, f"missing at Credly as {credly_id}, to be issued again", actor)
    return Repair(badges=[badge.pk])


def _repair_different(badge: Badge, credly_id: uuid.UUID, learner: Learner, actor: str) -> Repair:
    failed = Badge.objects.filter(
        AT_REST, pk=badge.pk, standing=Standing.AWARDED, credly_state=CredlyState.FAILED, credly_id=None
    )
    if failed.update(credly_state=CredlyState.ISSUING, **_due_anew()):
        _note(badge, f"Credly holds it as {credly_id}, to be adopted", actor)
        return Repair(badges=[badge.pk])
    if not Badge.objects.filter(AT_REST, pk=badge.pk, credly_id=credly_id).exists():
        raise _RefusedError("The badge changed since.")
    _note(badge, "different at Credly, to be looked up", actor)
    return Repair(rechecks=[badge.pk])


def _repair_extra(badge: Badge, credly_id: uuid.UUID, learner: Learner, actor: str) -> Repair:
    """Have a badge at Credly revoked that no badge of ours, or only one that is revoked here, accounts for.

    The normal path revokes badges of ours, so the extra one becomes such: a row that is revoked by the rules, holds the id
    and is due.  From then on nobody adopts it.  It takes the cycle of the learner's newest badge, which moves on by one: the
    newest decides what later events do, and must stay the newest.  Neither of its signals is ever sent, for nobody was told
    that it was awarded: the one that revoking would write is there from the start, disabled.
    """
    rows = Badge.objects.filter(learner=learner, template=badge.template_id)
    own = rows.filter(credly_id=credly_id).first()
    adoptable = rows.filter(standing=Standing.AWARDED, credly_id=None)
    if adoptable.exists() or rows.exclude(AT_REST).exists() or (own and own.credly_state != CredlyState.REVOKED):
        raise _RefusedError("The learner's badges changed since.")
    if own is None:
        own = _row_of_extra(rows.filter(value=badge.value).order_by("-cycle")[0], credly_id)
    Badge.objects.filter(pk=own.pk).update(credly_state=CredlyState.REVOKING, **_due_anew())
    _note(own, f"extra at Credly as {credly_id}, to be revoked", actor)
    return Repair(badges=[own.pk])


def _row_of_extra(newest: Badge, credly_id: uuid.UUID) -> Badge:
    Badge.objects.filter(pk=newest.pk).update(cycle=newest.cycle + 1)
    row = Badge.objects.create(
        learner_id=newest.learner_id,
        template_id=newest.template_id,
        value=newest.value,
        cycle=newest.cycle,
        standing=Standing.REVOKED,
        revoked_by=RevokedBy.EXTRA,
        revocation_reason=ISSUED_TWICE if newest.standing == Standing.AWARDED else "",
        credly_state=CredlyState.REVOKED,
        credly_id=credly_id,
        earned_at=newest.earned_at,
    )
    silenced = Signal.objects.filter(pk__in=outbox.write(row, outbox.REVOKED))
    silenced.update(state=SignalState.DISABLED, due_at=None)
    return row


def _due_anew() -> dict[str, Any]:
    return {"due_at": timezone.now(), "attempts": 0, "taken_up": 0, "error": "", "traceback": ""}


def _note(badge: Badge, outcome: str, actor: str) -> None:
    BadgeHistory.objects.create(badge=badge, what=SOURCE, outcome=outcome, actor=actor)
