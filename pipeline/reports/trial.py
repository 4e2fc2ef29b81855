"""What would an event do to a template's badge?  The way of an event, without any of its effects."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.configuration import ruleset
from pipeline.models import Event, Penalty, Requirement, Rule, Template
from pipeline.reports.amounts import too_early_or_late
from pipeline.reports.sentence import WHOLE_RULE
from pipeline.reports.trial_outcome import PenaltyTrial, RequirementTrial, RuleTrial, Trial, Verdict
from pipeline.reports.trial_standing import follow
from pipeline.stages.evaluate import Refused, check, learner_event_type

NO_ID = UUID(int=2**128 - 1)
"""Stands for the id of an event that has none yet: of two events at the same time it counts as the newer."""


def try_event(
    template: Template, event_type: str, payload: Mapping[str, Any], time: datetime | None = None, id: UUID = NO_ID
) -> Trial:
    """What the event would do to the template's badge now.  Reads only, and may be repeated.

    Args:
        template: an active or inactive one.
        event_type: the event's full name, such as `org.openedx.learning.course.passing.status.updated.v1`.
        payload: the value of the signal's data argument, plain data as a consumer decodes it.
        time: the event's own time, with its zone; None means now.
        id: the event's own id; it decides between events at the same time.

    Raises:
        ValueError: the template is broken (a rule has an unknown operator, say), and so takes no part in anything.
    """
    event = Event(id=id, type=event_type, time=time or timezone.now(), payload=payload)
    whole = Template.objects.prefetch_related(*WHOLE_RULE).get(pk=template.pk)
    compiled = ruleset.compiled(whole)
    match = next(iter(rules.Ruleset([compiled]).match(event.type, event.payload, event.time)), None)
    learner, if_active = None, None
    verdict, refusal = _at_the_border(event)
    if verdict is None:
        learner, verdict = follow(compiled, _lms_user_id(event), list(whole.requirements.all()), event, match)
        if not template.active:
            verdict, if_active = Verdict.INACTIVE, verdict
    return Trial(
        template=template.uuid,
        name=template.name,
        event_type=event.type,
        time=event.time,
        per=template.per,
        value=compiled.value_in(event.payload),
        verdict=verdict,
        if_active=if_active,
        refusal=refusal,
        requirements=tuple(_requirement(row, event) for row in whole.requirements.all()),
        penalties=tuple(_penalty(row, event) for row in whole.penalties.all()),
        learner=learner,
    )


def _requirement(row: Requirement, event: Event) -> RequirementTrial:
    same_type = row.event_type == event.type
    tried = _rules(row.rules.all(), event) if same_type else ()
    unfit = _unfit(row, event) if same_type else ()
    return RequirementTrial(
        slug=row.slug,
        description=row.description,
        event_type=row.event_type,
        group=row.group,
        same_type=same_type,
        rules=tried,
        unfit=unfit,
        met=same_type and not unfit and all(rule.matched for rule in tried),
    )


def _unfit(row: Requirement, event: Event) -> tuple[str, ...]:
    """Why the event does not count, whatever the rules say."""
    reasons = []
    if outside := too_early_or_late(row, event.time):
        reasons.append(_("The event is too early or too late: its time lies %(outside)s.") % {"outside": outside})
    if row.distinct and rules.text_of(rules.value_at(event.payload, row.distinct)) is None:
        reasons.append(
            _("The event has no value at %(path)s, by which events are told apart.") % {"path": row.distinct}
        )
    return tuple(reasons)


def _penalty(row: Penalty, event: Event) -> PenaltyTrial:
    same_type = row.event_type == event.type
    tried = _rules(row.rules.all(), event) if same_type else ()
    resets = tuple(requirement.slug for requirement in row.requirements.all())
    return PenaltyTrial(
        slug=row.slug,
        description=row.description,
        event_type=row.event_type,
        requirements=resets,
        same_type=same_type,
        rules=tried,
        strikes=same_type and bool(tried and resets) and all(rule.matched for rule in tried),
    )


def _rules(rows: Iterable[Rule], event: Event) -> tuple[RuleTrial, ...]:
    kinds = catalogue.kinds(event.type)
    return tuple(
        RuleTrial(
            path=row.data_path,
            operator=row.operator,
            expected=row.value,
            found=rules.value_at(event.payload, row.data_path),
            matched=rules.Rule(row.data_path, row.operator, row.value, kinds.get(row.data_path, "text")).matches(
                event.payload
            ),
        )
        for row in rows
    )


def _at_the_border(event: Event) -> tuple[Verdict | None, str]:
    """Why the event could do nothing to any template, with the reason it would be refused for; None if it could."""
    try:
        event_type = learner_event_type(event)
        if event_type.name not in catalogue.badge_event_types():
            return Verdict.UNSUBSCRIBED, ""
        check(event, event_type)
    except Refused as refusal:
        return Verdict.REFUSED, str(refusal)
    return None, ""


def _lms_user_id(event: Event) -> int:
    """The learner of an event that passed the border."""
    user = catalogue.user_of(event.type, event.payload) or {}
    return int(user["id"])
