"""What an event's decisions would do to its learner's progress and badge, without doing it."""

from collections.abc import Sequence

from pipeline import rules
from pipeline.ledgers import occurrences
from pipeline.ledgers.badges import REVOCATION_BEGUN
from pipeline.ledgers.progress import known
from pipeline.models import Badge, Event, Learner, Progress, Requirement, RevokedBy, Standing
from pipeline.reports.trial_outcome import Count, Effect, LearnerTrial, Missing, Step, Verdict


def follow(
    template: rules.Template,
    lms_user_id: int,
    requirements: Sequence[Requirement],
    event: Event,
    match: rules.Match | None,
) -> tuple[LearnerTrial, Verdict]:
    """The learner's progress before and after an event that can take part, and what becomes of their badge.

    Reads only.  What it says is what `ledgers.progress.record` and `ledgers.badges.follow` would do to an active template.

    Args:
        template: as the rules see it.
        lms_user_id: the learner's.
        requirements: the rows of the template's.
        event: the one to try.
        match: what it does to the template; None if nothing.
    """
    value = template.value_in(event.payload)
    learner = Learner.objects.filter(lms_user_id=lms_user_id).first()
    badge = _badge(learner, template, value)
    before = _stored(learner, template, value)
    after = before.after(match, event.payload, event.time, event.id) if match else before
    steps = _steps(template, requirements, before, after, event, match)
    missing = _missing(template, requirements, steps, after)
    trial = LearnerTrial(
        lms_user_id=lms_user_id,
        record=learner.pk if learner else None,
        standing=badge.standing if badge else "",
        steps=steps,
        complete_before=rules.complete(template, before.fulfilled),
        complete_after=rules.complete(template, after.fulfilled),
        missing=missing,
    )
    if not requirements:
        return trial, Verdict.NO_REQUIREMENT
    if value is None:
        return trial, Verdict.NO_VALUE
    if match is None:
        return trial, Verdict.NO_MATCH
    if missing:
        return trial, _of_incomplete(badge, is_reset=before.is_reset(after))
    return trial, _of_complete(badge, template, is_news=bool(before.changed(after)))


def _badge(learner: Learner | None, template: rules.Template, value: str | None) -> Badge | None:
    mine = Badge.objects.filter(learner=learner, template=template.id, value=value)
    return mine.order_by("cycle").last() if learner and value is not None else None


def _stored(learner: Learner | None, template: rules.Template, value: str | None) -> rules.Progress:
    row = Progress.objects.filter(learner=learner, template=template.id, value=value).first() if learner else None
    return (
        known(row.fulfillments.all(), occurrences.of({row.pk: template}).get(row.pk, {})) if row else rules.Progress()
    )


def _steps(
    template: rules.Template,
    requirements: Sequence[Requirement],
    before: rules.Progress,
    after: rules.Progress,
    event: Event,
    match: rules.Match | None,
) -> tuple[Step, ...]:
    counts, slugs = _counts(template, before, after), {row.pk: row.slug for row in requirements}
    touched, counting = (match.fulfills | match.resets, match.fulfills - match.resets) if match else ((), ())
    steps = []
    for row in requirements:
        old, new, count = before.decisions.get(row.pk), after.decisions.get(row.pk), counts.get(row.pk)
        if row.pk not in touched and new == old:
            effect = Effect.NONE
        elif count is None:
            effect = _effect(old, new, event)
        else:
            hindered = _hindered(row, after, event) if row.pk in counting else None
            is_known = any(each.event == event.id for each in before.occurrences.get(row.pk, ()))
            effect = _effect_on_count(old, new, count, hindered or (Effect.KNOWN if is_known else Effect.AS_BEFORE))
        first = slugs.get(row.after_id, "") if row.after_id else ""
        steps.append(Step(row.slug, old, effect, new, count if count and count.needed > 1 else None, first))
    return tuple(steps)


def _hindered(row: Requirement, after: rules.Progress, event: Event) -> Effect | None:
    """Why an event that is what the requirement asks for does not count, for what comes before; None if it does."""
    if row.after_id is None:
        return None
    first = after.decisions.get(row.after_id)
    if first is None or not first.fulfilled:
        return Effect.WAITS
    return Effect.NOT_LATER if event.time <= first.time else None


def _effect(old: rules.Decision | None, new: rules.Decision | None, event: Event) -> Effect:
    if new is None or new == old:
        return Effect.REPEATED if old and old.event == event.id else Effect.OUTDATED
    return Effect.FULFILLED if new.fulfilled else Effect.RESET


def _effect_on_count(old: rules.Decision | None, new: rules.Decision | None, count: Count, unchanged: Effect) -> Effect:
    """What the event does; `unchanged` if as much counts as before."""
    was, will_be = (each is not None and each.fulfilled for each in (old, new))
    if was != will_be:
        return Effect.FULFILLED if will_be else Effect.RESET
    if count.after != count.before:
        return Effect.COUNTED if count.after > count.before else Effect.TAKEN_OFF
    return unchanged


def _counts(template: rules.Template, before: rules.Progress, after: rules.Progress) -> dict[int, Count]:
    old, new = (rules.tallies(template, progress.occurrences) for progress in (before, after))
    return {each.id: Count(old[each.id].reached, new[each.id].reached, each.count) for each in template.counted}


def _missing(
    template: rules.Template, requirements: Sequence[Requirement], steps: Sequence[Step], after: rules.Progress
) -> tuple[Missing, ...]:
    """The groups of which nothing is fulfilled."""
    fulfilled = after.fulfilled
    counts = {
        step.requirement: str(Count(step.count.after, step.count.after, step.count.needed))
        for step in steps
        if step.count
    }
    return tuple(
        Missing(
            group=rows[0].group,
            requirements=tuple(row.slug for row in rows),
            counts=tuple(counts.get(row.slug, "") for row in rows),
        )
        for ids in rules.groups(template)
        if ids.isdisjoint(fulfilled) and (rows := [row for row in requirements if row.pk in ids])
    )


def _of_complete(badge: Badge | None, template: rules.Template, *, is_news: bool) -> Verdict:
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
