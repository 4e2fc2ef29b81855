"""Progress: what events decided about each requirement, for each learner."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline import rules
from pipeline.configuration.ruleset import Compiled
from pipeline.ledgers import bulk, occurrences
from pipeline.models import Event, Fulfillment, Learner, Progress

Decisions = Mapping[int, rules.Decision]
"""The deciding event by requirement id."""


@dataclass(frozen=True)
class Occasion:
    """An event of a learner that meets something, and what it does to each template."""

    learner: Learner
    event: Event
    matches: Sequence[rules.Match]


@dataclass
class Recorded:
    """All decisions of a learner by template id, and what the event changed.

    `changed` are the ids of the templates of which it changed a decision, `reset` of those where it reset a requirement.
    """

    decisions: dict[int, Decisions] = field(default_factory=lambda: defaultdict(dict))
    changed: set[int] = field(default_factory=set)
    reset: set[int] = field(default_factory=set)


class Forgotten(Exception):
    """What an event decides anew was forgotten since it was read, for the rules were changed: it has to be read again."""


class Moment(NamedTuple):
    """What an event does to one progress, which was one thing before and is another after."""

    event: Event
    match: rules.Match
    progress: Progress
    before: rules.Progress
    after: rules.Progress


Owner = tuple[int, int, str]
"""The ids of a learner and a template, and the value of its `per`, which name a progress."""

Stored = Mapping[int, Mapping[int, Fulfillment]]
"""Fulfillments by the ids of their progress and requirement."""


def record(occasions: Sequence[Occasion], configuration: Compiled) -> list[Recorded]:
    """Write what events do to their learners' progress.  May be repeated: then it changes nothing.

    The caller holds the learners' locks.

    1. Open the progress of the templates it is the first for.
    2. Find what each event makes of the progress that is stored.
    3. Store what changed.

    Args:
        occasions: at most one of each learner.
        configuration: what they were matched against.

    Raises:
        Forgotten: the rules were changed meanwhile.
    """
    progress = _opened(occasions)
    stored = _stored(progress.values())
    noted = occurrences.of(
        {
            progress[_owner(each, match)].pk: match.template
            for each in occasions
            for match in each.matches
            if match.template.counted
        }
    )
    recorded: list[Recorded] = []
    moments: list[Moment] = []
    for occasion in occasions:
        of_learner = Recorded()
        for match in occasion.matches:
            row = progress[_owner(occasion, match)]
            before = known(stored[row.pk].values(), noted.get(row.pk, {}))
            moment = _moment(occasion.event, match, row, before)
            moments.append(moment)
            of_learner.decisions[match.template.id] = moment.after.decisions
            if moment.before.changed(moment.after):
                of_learner.changed.add(match.template.id)
            if moment.before.is_reset(moment.after):
                of_learner.reset.add(match.template.id)
        recorded.append(of_learner)
    occurrences.store(
        occurrences.Change(each.progress.pk, each.match.template, each.before.occurrences, each.after.occurrences)
        for each in moments
    )
    _write(moments, stored, configuration)
    return recorded


def known(fulfillments: Iterable[Fulfillment], noted: rules.Occurrences) -> rules.Progress:
    """A stored progress as the rules see it.

    Args:
        fulfillments: its own.
        noted: what counts for it.
    """
    return rules.Progress(
        {row.requirement_id: rules.Decision(row.time, row.event, row.fulfilled) for row in fulfillments}, noted
    )


def _owner(occasion: Occasion, match: rules.Match) -> Owner:
    return occasion.learner.pk, match.template.id, match.value


def _opened(occasions: Sequence[Occasion]) -> dict[Owner, Progress]:
    """The progress that these events touch."""
    touched = {_owner(occasion, match) for occasion in occasions for match in occasion.matches}
    learners, templates, values = (set(part) for part in zip(*touched, strict=True))
    known = Progress.objects.filter(learner__in=learners, template__in=templates, value__in=values)
    progress = {(row.learner_id, row.template_id, row.value): row for row in known}
    missing = [
        Progress(learner_id=learner, template_id=template, value=value)
        for learner, template, value in touched - progress.keys()
    ]
    progress |= {(row.learner_id, row.template_id, row.value): row for row in bulk.create(missing)}
    return {key: progress[key] for key in touched}


def _stored(progress: Iterable[Progress]) -> Stored:
    found: defaultdict[int, dict[int, Fulfillment]] = defaultdict(dict)
    for row in Fulfillment.objects.filter(progress__in=progress):
        found[row.progress_id][row.requirement_id] = row
    return found


def _moment(event: Event, match: rules.Match, progress: Progress, before: rules.Progress) -> Moment:
    return Moment(event, match, progress, before, before.after(match, event.payload, event.time, event.id))


def _write(moments: Sequence[Moment], stored: Stored, configuration: Compiled) -> None:
    created: list[Fulfillment] = []
    updated: list[Fulfillment] = []
    undecided: list[int] = []
    for moment in moments:
        for requirement in sorted(moment.before.changed(moment.after)):
            old, decision = stored[moment.progress.pk].get(requirement), moment.after.decisions.get(requirement)
            if decision:
                row = _fulfillment(moment, requirement, decision, old, configuration)
                (updated if old else created).append(row)
            elif old:
                undecided.append(old.pk)
    Fulfillment.objects.bulk_create(created)
    fields = ["fulfilled", "event", "time", "matched"]
    if Fulfillment.objects.bulk_update(updated, fields, batch_size=bulk.UPDATED_AT_ONCE) < len(updated):
        raise Forgotten
    if undecided:
        Fulfillment.objects.filter(pk__in=undecided).delete()


def _fulfillment(
    moment: Moment, requirement: int, decision: rules.Decision, old: Fulfillment | None, configuration: Compiled
) -> Fulfillment:
    return Fulfillment(
        pk=old.pk if old else None,
        progress=moment.progress,
        requirement_id=requirement,
        fulfilled=decision.fulfilled,
        event=decision.event,
        time=decision.time,
        matched=_matched(moment, requirement, decision, old, configuration),
    )


def _matched(
    moment: Moment, requirement: int, decision: rules.Decision, old: Fulfillment | None, configuration: Compiled
) -> dict[str, object]:
    """The requirement or penalty that the deciding event matched, by its stable name, with its rules as they stood.

    Without both, if it matched them under other rules than those of now, or may have.
    """
    template = moment.match.template
    condition: rules.Requirement | rules.Penalty | None
    if decision.event != moment.event.id:
        return dict(old.matched) if old and old.event == decision.event else {"rules": []}
    if decision.fulfilled:
        condition = next(item for item in template.requirements if item.id == requirement)
        name = {"requirement": configuration.requirement_slugs[requirement]}
    else:
        taking_back = (item for item in template.penalties if requirement in item.requirements)
        condition = next((item for item in taking_back if _meets(moment.event, item)), None)
        if condition is None:
            return {"rules": []}
        name = {"penalty": configuration.penalty_slugs[condition.id]}
    return {**name, "rules": [[rule.path, rule.operator, rule.value] for rule in condition.rules]}


def _meets(event: Event, penalty: rules.Penalty) -> bool:
    return penalty.event_type == event.type and penalty.matches(event.payload, event.time)
