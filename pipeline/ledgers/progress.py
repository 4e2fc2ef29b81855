"""Progress: what the newest events decided about each requirement, for each learner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline import rules
from pipeline.configuration.ruleset import Compiled
from pipeline.models import Event, Fulfillment, Learner, Progress

Decisions = dict[int, rules.Decision]
"""The deciding event by requirement id."""


@dataclass(frozen=True)
class Recorded:
    """All decisions by template id, and what this event changed.

    `changed` are the ids of the templates of which it changed a decision, `reset` of those where it reset a requirement.
    """

    decisions: Mapping[int, Decisions]
    changed: frozenset[int]
    reset: frozenset[int]


def record(learner: Learner, event: Event, matches: Sequence[rules.Match], configuration: Compiled) -> Recorded:
    """Write what an event does to a learner's progress.  May be repeated: then it changes nothing.

    The caller holds the learner's lock.

    1. Open the progress of the templates it is the first for.
    2. Test it against requirements first, then penalties; what is newer than the stored decision takes its place.
    3. Store what changed.
    """
    templates = [match.template.id for match in matches]
    known = Progress.objects.filter(learner=learner, template__in=templates)
    progress = {row.template_id: row for row in known}
    stored = {
        (row.progress_id, row.requirement_id): row for row in Fulfillment.objects.filter(progress__in=progress.values())
    }
    missing = [Progress(learner=learner, template_id=template) for template in templates if template not in progress]
    if missing:
        Progress.objects.bulk_create(missing)
        progress = {row.template_id: row for row in known.all()}
    changed: dict[tuple[int, int], Fulfillment] = {}
    for match in matches:
        row = progress[match.template.id]
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
    _write(changed, stored)
    decisions: dict[int, Decisions] = defaultdict(dict)
    template_of = {row.pk: template for template, row in progress.items()}
    for (progress_id, requirement), fulfillment in (stored | changed).items():
        decisions[template_of[progress_id]][requirement] = _decision(fulfillment)
    return Recorded(
        decisions,
        changed=frozenset(template_of[row.progress_id] for row in changed.values()),
        reset=frozenset(template_of[row.progress_id] for row in changed.values() if not row.fulfilled),
    )


def _write(changed: dict[tuple[int, int], Fulfillment], stored: dict[tuple[int, int], Fulfillment]) -> None:
    Fulfillment.objects.bulk_create([row for key, row in changed.items() if key not in stored])
    Fulfillment.objects.bulk_update(
        [row for key, row in changed.items() if key in stored], ["fulfilled", "event", "time", "matched"]
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
