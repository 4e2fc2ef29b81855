"""Progress: what the newest events decided about each requirement, for each learner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline import rules
from pipeline.configuration.ruleset import Compiled
from pipeline.ledgers import bulk
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


def record(occasions: Sequence[Occasion], configuration: Compiled) -> list[Recorded]:
    """Write what events do to their learners' progress, in their order.  May be repeated: then it changes nothing.

    The caller holds the learners' locks.

    1. Open the progress of the templates it is the first for.
    2. Test each event against requirements first, then penalties; what is newer than the stored decision takes its place.
    3. Store what changed.

    Args:
        occasions: at most one of each learner.
        configuration: what they were matched against.
    """
    progress = _opened(occasions)
    stored = {
        (row.progress_id, row.requirement_id): row for row in Fulfillment.objects.filter(progress__in=progress.values())
    }
    changed: dict[Key, Fulfillment] = {}
    for occasion in occasions:
        for match in occasion.matches:
            changed |= _decided(
                occasion, match, progress[occasion.learner.pk, match.template.id], stored, configuration
            )
    _write(changed, stored)
    place = {occasion.learner.pk: each for each, occasion in enumerate(occasions)}
    recorded = [Recorded() for _ in occasions]
    owners = {row.pk: row for row in progress.values()}
    for key, fulfillment in (stored | changed).items():
        owner = owners[key[0]]
        of_learner = recorded[place[owner.learner_id]]
        of_learner.decisions[owner.template_id][key[1]] = _decision(fulfillment)
        if key in changed:
            of_learner.changed.add(owner.template_id)
            if not fulfillment.fulfilled:
                of_learner.reset.add(owner.template_id)
    return recorded


def _opened(occasions: Sequence[Occasion]) -> dict[tuple[int, int], Progress]:
    """The progress that these events touch, by the ids of learner and template."""
    touched = {(occasion.learner.pk, match.template.id) for occasion in occasions for match in occasion.matches}
    learners, templates = {learner for learner, _ in touched}, {template for _, template in touched}
    known = Progress.objects.filter(learner__in=learners, template__in=templates)
    progress = {(row.learner_id, row.template_id): row for row in known}
    missing = [Progress(learner_id=learner, template_id=template) for learner, template in touched - progress.keys()]
    progress |= {(row.learner_id, row.template_id): row for row in bulk.create(missing)}
    return {key: progress[key] for key in touched}


def _decided(
    occasion: Occasion,
    match: rules.Match,
    row: Progress,
    stored: Mapping[Key, Fulfillment],
    configuration: Compiled,
) -> dict[Key, Fulfillment]:
    """The decisions of this event about one template that take the place of stored ones."""
    event = occasion.event
    changed: dict[Key, Fulfillment] = {}
    for fulfilled, requirements in ((True, match.fulfills), (False, match.resets)):
        for requirement in sorted(requirements):
            key = (row.pk, requirement)
            decision = rules.Decision(time=event.time, event=event.id, fulfilled=fulfilled)
            old = changed.get(key) or stored.get(key)
            if old is None or rules.supersedes(decision, _decision(old)):
                changed[key] = Fulfillment(
                    pk=old.pk if old else None,
                    progress=row,
                    requirement_id=requirement,
                    fulfilled=fulfilled,
                    event=event.id,
                    time=event.time,
                    matched=_matched(match.template, requirement, fulfilled, event, configuration),
                )
    return changed


def _write(changed: Mapping[Key, Fulfillment], stored: Mapping[Key, Fulfillment]) -> None:
    Fulfillment.objects.bulk_create([row for key, row in changed.items() if key not in stored])
    Fulfillment.objects.bulk_update(
        [row for key, row in changed.items() if key in stored],
        ["fulfilled", "event", "time", "matched"],
        batch_size=bulk.UPDATED_AT_ONCE,
    )


def _decision(row: Fulfillment) -> rules.Decision:
    return rules.Decision(time=row.time, event=row.event, fulfilled=row.fulfilled)


def _matched(
    template: rules.Template, requirement: int, fulfilled: bool, event: Event, configuration: Compiled
) -> dict[str, object]:
    """The requirement or penalty that matched, by its stable name, with its rules as they stood."""
    if fulfilled:
        condition: rules.Requirement | rules.Penalty = next(
            item for item in template.requirements if item.id == requirement
        )
        name = {"requirement": configuration.requirement_slugs[requirement]}
    else:
        condition = next(
            item for item in template.penalties if requirement in item.requirements and _meets(event, item)
        )
        name = {"penalty": configuration.penalty_slugs[condition.id]}
    return {**name, "rules": [[rule.path, rule.operator, rule.value] for rule in condition.rules]}


def _meets(event: Event, penalty: rules.Penalty) -> bool:
    return penalty.event_type == event.type and all(rule.matches(event.payload) for rule in penalty.rules)
