"""Badges: the standing that the rules give them."""

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from pipeline import logs, rules
from pipeline.ledgers import bulk, holdings
from pipeline.ledgers.progress import Decisions
from pipeline.models import Badge, BadgeHistory, CredlyState, Learner, RevokedBy, Standing

logger = logging.getLogger(__name__)

BY_A_PERSON = (RevokedBy.OPERATOR, RevokedBy.CREDLY)
"""Who revokes a badge so that no event gives it back."""

REVOCATION_BEGUN = (CredlyState.REVOKING, CredlyState.REVOKED)


@dataclass(frozen=True)
class Change:
    """What an event did to a learner's progress.

    Args:
        learner: whose lock the caller holds.
        event: the one that is the reason, for the history.
        templates: the templates to look at.
        decisions: all decisions by template id.
        news: ids of the templates of which a decision changed.  Only then is a badge that Credly holds awarded again.
        resets: ids of the templates of which a requirement was reset.  Only then is a badge revoked.
        values: which badge of a template it is about, by template id; of those with `per`.
    """

    learner: Learner
    event: uuid.UUID
    templates: Sequence[rules.Template]
    decisions: Mapping[int, Decisions]
    news: Collection[int]
    resets: Collection[int] = ()
    values: Mapping[int, str] = field(default_factory=dict)


def follow(changes: Sequence[Change]) -> list[int]:
    """Bring the learners' badges of these templates in line with progress.  May be repeated.

    A badge is revoked by a reset only: a template that lacks something because its rule was changed keeps its holders.

    Args:
        changes: at most one of each learner.

    Returns:
        The ids of the badges that changed.
    """
    templates = {template.id for change in changes for template in change.templates}
    learners = [change.learner for change in changes]
    values = {change.values.get(template.id, "") for change in changes for template in change.templates}
    known = Badge.objects.filter(learner__in=learners, template__in=templates, value__in=values).order_by("cycle")
    latest = {(badge.learner_id, badge.template_id, badge.value): badge for badge in known}
    changed: list[int] = []
    opened: list[Reason] = []
    revoked: list[Reason] = []
    for change in changes:
        for template in change.templates:
            badge = latest.get((change.learner.pk, template.id, change.values.get(template.id, "")))
            decided = change.decisions[template.id]
            if rules.complete(template, [key for key, decision in decided.items() if decision.fulfilled]):
                earned_at = rules.earned_at(template, decided)
                if badge is None:
                    opened.append(_next(change, template, 0, earned_at))
                elif _is_revoked_by_the_rules(badge):
                    if _restore(badge, earned_at, change.event, is_news=template.id in change.news):
                        changed.append(badge.pk)
                    elif template.reaward:
                        opened.append(_next(change, template, badge.cycle, earned_at))
            elif template.id in change.resets and badge is not None and badge.standing == Standing.AWARDED:
                revoked.append((badge, change.event))
    return changed + _open(opened) + _revoke(revoked)


Reason = tuple[Badge, uuid.UUID]
"""A badge that changes, and the event that is the reason."""


def _is_revoked_by_the_rules(badge: Badge) -> bool:
    """What a person revoked stays revoked."""
    return badge.standing == Standing.REVOKED and badge.revoked_by not in BY_A_PERSON


def _next(change: Change, template: rules.Template, cycle: int, earned_at: datetime) -> Reason:
    badge = Badge(
        learner=change.learner,
        template_id=template.id,
        value=change.values.get(template.id, ""),
        cycle=cycle + 1,
        earned_at=earned_at,
        due_at=timezone.now(),
    )
    return badge, change.event


def _open(opened: Sequence[Reason]) -> list[int]:
    badges = bulk.create([badge for badge, _ in opened])
    BadgeHistory.objects.bulk_create(
        BadgeHistory(badge=badge, what="awarded", outcome=f"cycle {badge.cycle}", event=event)
        for badge, (_, event) in zip(badges, opened, strict=True)
    )
    for badge, (_, event) in zip(badges, opened, strict=True):
        _log(badge, event)
    return [badge.pk for badge in badges]


def _log(badge: Badge, event: uuid.UUID) -> None:
    """From here on the badge's id leads through the log, as the event's did until here."""
    with logs.about(event=event, badge=badge.pk):
        logger.info("Badge %s: its standing changed", badge.uuid)


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
            # MySQL goes from left to right: what asks about a column comes before what sets it.
            due_at=holdings.soonest(),
            standing=Standing.AWARDED,
            revoked_by="",
            credly_state=Case(
                When(credly_state=CredlyState.FAILED, taken_up__gt=0, then=Value(CredlyState.ISSUING)),
                When(credly_state=CredlyState.FAILED, credly_id=None, then=Value(CredlyState.NONE)),
                When(credly_state=CredlyState.FAILED, then=Value(CredlyState.PENDING)),
                default=F("credly_state"),
            ),
            earned_at=Case(When(credly_id=None, then=Value(earned_at)), default=F("earned_at")),
            attempts=0,
            taken_up=0,
        )
    )
    if restored:
        BadgeHistory.objects.create(badge=badge, what="awarded", outcome="before it was revoked", event=event)
        _log(badge, event)
    return bool(restored)


def _revoke(revoked: Sequence[Reason]) -> list[int]:
    """These templates are complete no more: their badges are to be revoked, or cancelled if Credly never saw them."""
    ids = [badge.pk for badge, _ in revoked]
    if ids:
        Badge.objects.filter(pk__in=ids).update(
            standing=Standing.REVOKED, revoked_by=RevokedBy.RULES, due_at=holdings.soonest(), attempts=0
        )
        BadgeHistory.objects.bulk_create(BadgeHistory(badge=row, what="revoked", event=event) for row, event in revoked)
    for badge, event in revoked:
        _log(badge, event)
    return ids
