"""Badges: the standing that the rules give them."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from pipeline import rules
from pipeline.ledgers import holdings
from pipeline.ledgers.progress import Decisions
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, RevokedBy, Standing

BY_A_PERSON = (RevokedBy.OPERATOR, RevokedBy.CREDLY)
"""Who revokes a badge so that no event gives it back."""

REVOCATION_BEGUN = (CredlyState.REVOKING, CredlyState.REVOKED)


def follow(
    learner: Learner,
    event: uuid.UUID,
    templates: Iterable[rules.Template],
    decisions: Mapping[int, Decisions],
    news: Collection[int],
    resets: Collection[int] = (),
) -> list[int]:
    """Bring the learner's badges of these templates in line with progress.  May be repeated.

    A badge is revoked by a reset only: a template that lacks something because its rule was changed keeps its holders.

    Args:
        learner: whose lock the caller holds.
        event: the one that is the reason, for the history.
        templates: the templates to look at.
        decisions: all decisions by template id.
        news: ids of the templates of which a decision changed.  Only then is a badge that Credly holds awarded again.
        resets: ids of the templates of which a requirement was reset.  Only then is a badge revoked.

    Returns:
        The ids of the badges that changed.
    """
    latest = {
        badge.template_id: badge
        for badge in Badge.objects.filter(learner=learner, template__in=decisions).order_by("cycle")
    }
    changed: list[int] = []
    for template in templates:
        badge = latest.get(template.id)
        decided = decisions[template.id]
        fulfilled = [requirement for requirement, decision in decided.items() if decision.fulfilled]
        if rules.complete(template, fulfilled):
            is_news = template.id in news
            changed += _award(learner, template, badge, rules.earned_at(template, decided), event, is_news=is_news)
        elif template.id in resets:
            changed += _revoke(badge, event)
    return changed


def _award(
    learner: Learner,
    template: rules.Template,
    badge: Badge | None,
    earned_at: datetime,
    event: uuid.UUID,
    *,
    is_news: bool,
) -> list[int]:
    """The template is complete: open a badge, or take back a revocation that has not begun, or open the next cycle.

    What a person revoked stays revoked.
    """
    if badge is None:
        return _open(learner, template, 1, earned_at, event)
    if badge.standing == Standing.AWARDED or badge.revoked_by in BY_A_PERSON:
        return []
    if _restore(badge, earned_at, event, is_news=is_news):
        return [badge.pk]
    if template.reaward:
        return _open(learner, template, badge.cycle + 1, earned_at, event)
    return []


def _open(learner: Learner, template: rules.Template, cycle: int, earned_at: datetime, event: uuid.UUID) -> list[int]:
    badge = Badge.objects.create(
        learner=learner, template_id=template.id, cycle=cycle, earned_at=earned_at, due_at=timezone.now()
    )
    BadgeHistory.objects.create(badge=badge, what="awarded", outcome=f"cycle {cycle}", event=event)
    return [badge.pk]


def _restore(badge: Badge, earned_at: datetime, event: uuid.UUID, *, is_news: bool) -> bool:
    """Award again what was to be revoked but is not: no call to revoke is out.  Says whether that was so.

    A badge that Credly had refused to issue gets another try; one that it had refused to revoke is there as before; one
    that was set aside without a result is looked up.  A badge that was at Credly comes back only with news: an event that
    was counted before must not undo what has been decided since.
    """
    restored = (
        Badge.objects.filter(Q() if is_news else Q(credly_id=None), pk=badge.pk, standing=Standing.REVOKED)
        .exclude(credly_state__in=REVOCATION_BEGUN)
        .exclude(revoked_by__in=BY_A_PERSON)
        .update(
            standing=Standing.AWARDED,
            revoked_by="",
            credly_state=Case(
                When(credly_state=CredlyState.FAILED, taken_up__gt=0, then=Value(CredlyState.ISSUING)),
                When(credly_state=CredlyState.FAILED, credly_id=None, then=Value(CredlyState.NONE)),
                When(credly_state=CredlyState.FAILED, then=Value(CredlyState.PENDING)),
                default=F("credly_state"),
            ),
            earned_at=Case(When(credly_id=None, then=Value(earned_at)), default=F("earned_at")),
            due_at=holdings.soonest(),
            attempts=0,
            taken_up=0,
        )
    )
    if restored:
        BadgeHistory.objects.create(badge=badge, what="awarded", outcome="before it was revoked", event=event)
    return bool(restored)


def _revoke(badge: Badge | None, event: uuid.UUID) -> list[int]:
    """The template is complete no more: a badge that stands is to be revoked, or cancelled if Credly never saw it."""
    if badge is None or badge.standing == Standing.REVOKED:
        return []
    Badge.objects.filter(pk=badge.pk).update(
        standing=Standing.REVOKED, revoked_by=RevokedBy.RULES, due_at=holdings.soonest(), attempts=0
    )
    BadgeHistory.objects.create(badge=badge, what="revoked", event=event)
    return [badge.pk]
