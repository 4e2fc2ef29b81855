"""What would an event do to a template's badge?  The way of an event, without any of its effects."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.models import Event, Penalty, Requirement, Rule, Template
from pipeline.reports.trial_outcome import PenaltyTrial, RequirementTrial, RuleTrial, Trial, Verdict
from pipeline.reports.trial_standing import Said, follow
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
        ValueError: the template is broken (a rule has an unknown operator), and so takes no part in anything.
    """
    event = Event(id=id, type=event_type, time=time or timezone.now(), payload=payload)
    requirements = {row: _requirement(row, event) for row in template.requirements.prefetch_related("rules")}
    penalties = {row: _penalty(row, event) for row in template.penalties.prefetch_related("rules", "requirements")}
    learner, if_active = None, None
    verdict, refusal = _at_the_border(event)
    if verdict is None:
        learner, verdict = follow(
            template, _lms_user_id(event), list(requirements), _said(event, requirements, penalties)
        )
        if not template.active:
            verdict, if_active = Verdict.INACTIVE, verdict
    return Trial(
        template=template.uuid,
        name=template.name,
        event_type=event.type,
        time=event.time,
        verdict=verdict,
        if_active=if_active,
        refusal=refusal,
        requirements=tuple(requirements.values()),
        penalties=tuple(penalties.values()),
        learner=learner,
    )


def _requirement(row: Requirement, event: Event) -> RequirementTrial:
    same_type = row.event_type == event.type
    tried = _rules(row.rules.all(), event)
    return RequirementTrial(
        slug=row.slug,
        description=row.description,
        event_type=row.event_type,
        group=row.group,
        same_type=same_type,
        rules=tried if same_type else (),
        met=same_type and all(rule.matched for rule in tried),
    )


def _penalty(row: Penalty, event: Event) -> PenaltyTrial:
    same_type = row.event_type == event.type
    tried = _rules(row.rules.all(), event)
    resets = tuple(requirement.slug for requirement in row.requirements.all())
    return PenaltyTrial(
        slug=row.slug,
        description=row.description,
        event_type=row.event_type,
        requirements=resets,
        same_type=same_type,
        rules=tried if same_type else (),
        strikes=same_type and bool(tried and resets) and all(rule.matched for rule in tried),
    )


def _rules(rows: Iterable[Rule], event: Event) -> tuple[RuleTrial, ...]:
    return tuple(
        RuleTrial(
            path=row.data_path,
            operator=row.operator,
            expected=row.value,
            found=rules.value_at(event.payload, row.data_path),
            matched=rules.Rule(row.data_path, row.operator, row.value).matches(event.payload),
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


def _said(
    event: Event, requirements: Mapping[Requirement, RequirementTrial], penalties: Mapping[Penalty, PenaltyTrial]
) -> Said:
    """What the event says about requirements: requirements first, then penalties."""
    said: defaultdict[int, list[rules.Decision]] = defaultdict(list)
    for row, requirement in requirements.items():
        if requirement.met:
            said[row.pk].append(rules.Decision(event.time, event.id, fulfilled=True))
    for penalty_row, penalty in penalties.items():
        for reset in penalty_row.requirements.all() if penalty.strikes else ():
            said[reset.pk].append(rules.Decision(event.time, event.id, fulfilled=False))
    return said
