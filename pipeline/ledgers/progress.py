"""Progress: what the newest events decided about each requirement, for each learner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline import rules
from pipeline.configuration.ruleset import Compiled
from pipeline.ledgers import bulk, occurrences
from pipeline.ledgers.occurrences import Moment, Noted
from pipeline.models import Event, Fulfillment, Learner, Progress

Decisions = dict[int, rules.Decision]
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


Key = tuple[int, int]
"""The ids of a progress and a requirement, which name a fulfillment."""

Owner = tuple[int, int, str]
"""The ids of a learner and a template, and the value of its `per`, which name a progress."""


def record(occasions: Sequence[Occasion], configuration: Compiled) -> list[Recorded]:
    """Write what events do to their learners' progress, in their order.  May be repeated: then it changes nothing.

    The caller holds the learners' locks.

    1. Open the progress of the templates it is the first for.
    2. Note the event with the requirements that more than the newest event decides, and decide these by all that is noted.
    3. Test it against the other requirements first, then penalties; what is newer than the stored decision takes its place.
    4. Store what changed.

    Args:
        occasions: at most one of each learner.
        configuration: what they were matched against.
    """
    progress = _opened(occasions)
    stored = {
        (row.progress_id, row.requirement_id): row for row in Fulfillment.objects.filter(progress__in=progress.values())
    }
    moments = [
        Moment(occasion.event, match, progress[_owner(occasion, match)])
        for occasion in occasions
        for match in occasion.matches
    ]
    noted = occurrences.note(moments)
    changed: dict[Key, Fulfillment] = {}
    for moment in moments:
        changed |= _decided(moment, stored, configuration)
        changed |= _counted(moment, noted, stored, configuration)
    _write(changed, stored)
    place = {occasion.learner.pk: each for each, occasion in enumerate(occasions)}
    recorded = [Recorded() for _ in occasions]
    owners = {row.pk: row for row in progress.values()}
    struck = {moment.progress.pk for moment in moments if moment.match.resets}
    for key, fulfillment in (stored | changed).items():
        owner = owners[key[0]]
        of_learner = recorded[place[owner.learner_id]]
        of_learner.decisions[owner.template_id][key[1]] = _decision(fulfillment)
        if key in changed:
            of_learner.changed.add(owner.template_id)
            if not fulfillment.fulfilled and owner.pk in struck:
                of_learner.reset.add(owner.template_id)
    return recorded


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


def _decided(moment: Moment, stored: Mapping[Key, Fulfillment], configuration: Compiled) -> dict[Key, Fulfillment]:
    """The decisions of this event that take the place of stored ones."""
    event, match = moment.event, moment.match
    counted = {requirement.id for requirement in match.template.counted}
    changed: dict[Key, Fulfillment] = {}
    for fulfilled, requirements in ((True, match.fulfills), (False, match.resets)):
        for requirement in sorted(requirements - counted):
            key = (moment.progress.pk, requirement)
            decision = rules.Decision(time=event.time, event=event.id, fulfilled=fulfilled)
            old = changed.get(key) or stored.get(key)
            if old is None or only_counted_too_few(old) or rules.supersedes(decision, _decision(old)):
                changed[key] = _fulfillment(moment, requirement, decision, old, configuration)
    return changed


def only_counted_too_few(row: Fulfillment) -> bool:
    """Whether no penalty took this back: the requirement counted for a while, and what was there was too little."""
    return not row.fulfilled and "penalty" not in row.matched


def _counted(
    moment: Moment, noted: Noted, stored: Mapping[Key, Fulfillment], configuration: Compiled
) -> dict[Key, Fulfillment]:
    """The decisions of all that is noted with the progress that differ from stored ones.

    A requirement that is not fulfilled has a row only if a penalty struck it, or if it was fulfilled and the rule was changed.
    """
    template, event = moment.match.template, moment.event
    if not template.counted:
        return {}
    decided = rules.decide(template, noted.of(moment.progress, template))
    changed: dict[Key, Fulfillment] = {}
    for requirement in template.counted:
        key = (moment.progress.pk, requirement.id)
        old, new = stored.get(key), decided.get(requirement.id)
        if new and new.fulfilled:
            if old is None or new != _decision(old):
                changed[key] = _fulfillment(moment, requirement.id, new, old, configuration)
        elif (old and old.fulfilled) or (requirement.id in moment.match.resets and key in noted.new):
            taken_back = rules.Decision(event.time, event.id, fulfilled=False)
            changed[key] = _fulfillment(moment, requirement.id, taken_back, old, configuration)
    return changed


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
        matched=_matched(moment, requirement, decision.fulfilled, configuration),
    )


def _write(changed: Mapping[Key, Fulfillment], stored: Mapping[Key, Fulfillment]) -> None:
    Fulfillment.objects.bulk_create([row for key, row in changed.items() if key not in stored])
    Fulfillment.objects.bulk_update(
        [row for key, row in changed.items() if key in stored],
        ["fulfilled", "event", "time", "matched"],
        batch_size=bulk.UPDATED_AT_ONCE,
    )


def _decision(row: Fulfillment) -> rules.Decision:
    return rules.Decision(time=row.time, event=row.event, fulfilled=row.fulfilled)


def _matched(moment: Moment, requirement: int, fulfilled: bool, configuration: Compiled) -> dict[str, object]:
    """The requirement or penalty that matched, by its stable name, with its rules as they stood."""
    template = moment.match.template
    struck = [item for item in template.penalties if not fulfilled and _meets(moment.event, item)]
    penalty = next((item for item in struck if requirement in item.requirements), next(iter(struck), None))
    if penalty is not None:
        name = {"penalty": configuration.penalty_slugs[penalty.id]}
        condition: rules.Requirement | rules.Penalty = penalty
    else:
        name = {"requirement": configuration.requirement_slugs[requirement]}
        condition = next(item for item in template.requirements if item.id == requirement)
    return {**name, "rules": [[rule.path, rule.operator, rule.value] for rule in condition.rules]}


def _meets(event: Event, penalty: rules.Penalty) -> bool:
    return penalty.event_type == event.type and penalty.matches(event.payload, event.time)
