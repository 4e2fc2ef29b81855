"""What design.md section 4 says, derived by brute force from the whole set of events.

Keeps everything, indexes nothing, and shares only the configuration dataclasses with the code under test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.rules import Penalty, Requirement, Rule, Template

TRUE = ["true", "True", "yes", "Yes", "+"]
FALSE = ["false", "False", "no", "No", "-"]


@dataclass(frozen=True)
class Event:
    """One learner event as the inbox holds it."""

    id: UUID
    time: datetime
    type: str
    payload: Mapping[str, object]


def satisfied(rule: Rule, payload: Mapping[str, object]) -> bool:
    """Does the payload satisfy the rule? A missing path, a null and a container satisfy nothing."""
    head, _, rest = rule.path.partition(".")
    if head not in payload:
        return False
    actual = payload[head]
    if rest:
        return isinstance(actual, dict) and satisfied(Rule(rest, rule.operator, rule.value), actual)
    if actual is None or isinstance(actual, dict | list):
        return False
    accepted = [f"{actual}"]
    if isinstance(actual, bool):
        accepted = TRUE if actual else FALSE
    return (rule.value in accepted) == (rule.operator == "eq")


def fulfills(requirement: Requirement, event_type: str, payload: Mapping[str, object]) -> bool:
    """All rules must match; a requirement with no rules matches every event of its type."""
    if requirement.event_type != event_type:
        return False
    return all(satisfied(rule, payload) for rule in requirement.rules)


def applies(penalty: Penalty, event_type: str, payload: Mapping[str, object]) -> bool:
    """All rules must match; a penalty needs at least one rule."""
    if penalty.event_type != event_type or not penalty.rules:
        return False
    return all(satisfied(rule, payload) for rule in penalty.rules)


def resets(template: Template, requirement_id: int, event_type: str, payload: Mapping[str, object]) -> bool:
    """Does any penalty of the template reset this requirement?"""
    return any(
        requirement_id in penalty.requirements and applies(penalty, event_type, payload)
        for penalty in template.penalties
    )


def matches(
    templates: Iterable[Template], event_type: str, payload: Mapping[str, object]
) -> list[tuple[int, set[int], set[int]]]:
    """Template id, fulfilled and reset requirement ids of each template the event touches, by template id."""
    touched = []
    for template in templates:
        if not template.requirements:
            continue
        fulfilled = {r.id for r in template.requirements if fulfills(r, event_type, payload)}
        reset = {r.id for r in template.requirements if resets(template, r.id, event_type, payload)}
        if fulfilled or reset:
            touched.append((template.id, fulfilled, reset))
    return sorted(touched, key=lambda row: row[0])


def fulfilled_by(template: Template, requirement: Requirement, events: Iterable[Event]) -> Event | None:
    """The newest event that fulfills the requirement, unless one as new or newer resets it."""
    last_fulfillment = last_reset = None
    for event in sorted(events, key=lambda event: (event.time, event.id)):
        if fulfills(requirement, event.type, event.payload):
            last_fulfillment = event
        if resets(template, requirement.id, event.type, event.payload):
            last_reset = event
    if last_fulfillment is None or last_reset is None:
        return last_fulfillment
    newer = (last_fulfillment.time, last_fulfillment.id) > (last_reset.time, last_reset.id)
    return last_fulfillment if newer else None


def is_complete(template: Template, fulfilled: Iterable[int]) -> bool:
    """Same letter: any one. Different letters: all. No letter: a group of its own. No requirements: never."""
    held = set(fulfilled)
    lone = [r.id in held for r in template.requirements if r.group is None]
    letters = {r.group for r in template.requirements if r.group is not None}
    lettered = [any(r.id in held for r in template.requirements if r.group == letter) for letter in letters]
    return len(template.requirements) > 0 and all(lone + lettered)


def earned(template: Template, events: Iterable[Event]) -> datetime | None:
    """When the template became complete by the deciding events, or None: the smallest time that suffices."""
    kept = list(events)
    times = {}
    for requirement in template.requirements:
        event = fulfilled_by(template, requirement, kept)
        if event is not None:
            times[requirement.id] = event.time
    for moment in sorted(times.values()):
        if is_complete(template, [key for key, time in times.items() if time <= moment]):
            return moment
    return None
