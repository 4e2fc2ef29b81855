"""What an event's decisions would do to its learner's progress and badge, without doing it."""

from collections.abc import Mapping, Sequence

from pipeline import rules
from pipeline.ledgers.badges import REVOCATION_BEGUN
from pipeline.models import Badge, Fulfillment, Learner, Requirement, RevokedBy, Standing, Template
from pipeline.reports.trial_outcome import Effect, LearnerTrial, Missing, Step, Verdict

Said = Mapping[int, Sequence[rules.Decision]]
"""What an event says about requirements, by their primary key."""


def follow(
    template: Template, lms_user_id: int, requirements: Sequence[Requirement], said: Said
) -> tuple[LearnerTrial, Verdict]:
    """The learner's progress before and after an event that can take part, and what becomes of their badge.

    Reads only.  What it says is what `ledgers.progress.record` and `ledgers.badges.follow` would do to an active template.
    """
    learner = Learner.objects.filter(lms_user_id=lms_user_id).first()
    badge = Badge.objects.filter(learner=learner, template=template).order_by("cycle").last() if learner else None
    before = _decisions(template, learner)
    after = {row.pk: _newest(before.get(row.pk), said.get(row.pk, [])) for row in requirements}
    missing = _missing(template, requirements, after)
    trial = LearnerTrial(
        lms_user_id=lms_user_id,
        record=learner.pk if learner else None,
        standing=badge.standing if badge else "",
        steps=tuple(
            Step(
                requirement=row.slug,
                before=before.get(row.pk),
                effect=_effect(before.get(row.pk), said.get(row.pk, []), after[row.pk]),
                after=after[row.pk],
            )
            for row in requirements
        ),
        complete_before=bool(requirements) and not _missing(template, requirements, before),
        complete_after=bool(requirements) and not missing,
        missing=missing,
    )
    if not requirements:
        return trial, Verdict.NO_REQUIREMENT
    if not said:
        return trial, Verdict.NO_MATCH
    if missing:
        is_reset = any(step.effect is Effect.RESET for step in trial.steps)
        return trial, _of_incomplete(badge, is_reset=is_reset)
    is_news = any(step.after != step.before for step in trial.steps)
    return trial, _of_complete(badge, template, is_news=is_news)


def _decisions(template: Template, learner: Learner | None) -> dict[int, rules.Decision]:
    rows = Fulfillment.objects.filter(progress__learner=learner, progress__template=template) if learner else ()
    return {row.requirement_id: rules.Decision(row.time, row.event, row.fulfilled) for row in rows}


def _newest(stored: rules.Decision | None, said: Sequence[rules.Decision]) -> rules.Decision | None:
    newest = stored
    for decision in said:
        if newest is None or rules.supersedes(decision, newest):
            newest = decision
    return newest


def _effect(before: rules.Decision | None, said: Sequence[rules.Decision], after: rules.Decision | None) -> Effect:
    if not said or after is None:
        return Effect.NONE
    if after == before:
        return Effect.REPEATED if before in said else Effect.OUTDATED
    return Effect.FULFILLED if after.fulfilled else Effect.RESET


def _missing(
    template: Template, requirements: Sequence[Requirement], decisions: Mapping[int, rules.Decision | None]
) -> tuple[Missing, ...]:
    """The groups of which nothing is fulfilled."""
    compiled = rules.Template(
        id=template.pk,
        requirements=tuple(
            rules.Requirement(row.pk, template.pk, row.event_type, row.group or None, ()) for row in requirements
        ),
        penalties=(),
        reaward=template.reaward,
    )
    fulfilled = {pk for pk, decision in decisions.items() if decision is not None and decision.fulfilled}
    return tuple(
        Missing(group=rows[0].group, requirements=tuple(row.slug for row in rows))
        for ids in rules.groups(compiled)
        if ids.isdisjoint(fulfilled) and (rows := [row for row in requirements if row.pk in ids])
    )


def _of_complete(badge: Badge | None, template: Template, *, is_news: bool) -> Verdict:
    """What `ledgers.badges.follow` does for a complete template; `is_news` if the event changes a decision."""
    if badge is None:
        return Verdict.AWARDED
    if badge.standing == Standing.AWARDED:
        return Verdict.ALREADY_AWARDED
    if badge.revoked_by == RevokedBy.OPERATOR:
        return Verdict.REVOKED_BY_OPERATOR
    if badge.revoked_by == RevokedBy.CREDLY:
        return Verdict.REVOKED_AT_CREDLY
    has_begun = badge.credly_state in REVOCATION_BEGUN
    if not has_begun and (is_news or badge.credly_id is None):
        return Verdict.RESTORED
    if template.reaward:
        return Verdict.AWARDED_AGAIN
    return Verdict.FINAL if has_begun else Verdict.NO_NEWS


def _of_incomplete(badge: Badge | None, *, is_reset: bool) -> Verdict:
    """What `ledgers.badges.follow` does for a template that is not complete; `is_reset` if the event resets something."""
    if badge is None or badge.standing != Standing.AWARDED:
        return Verdict.INCOMPLETE
    return Verdict.REVOKED if is_reset else Verdict.ALREADY_AWARDED
