"""What design.md section 4 and docs/decisions/0028 say, derived by brute force from the whole set of events.

Keeps everything, indexes nothing, and shares only the configuration dataclasses with the code under test.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import combinations
from uuid import UUID

from pipeline.rules import Penalty, Requirement, Rule, Template

TRUE = ["true", "True", "yes", "Yes", "+"]
FALSE = ["false", "False", "no", "No", "-"]

TIME_FORMATS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


@dataclass(frozen=True)
class Event:
    """One learner event as the inbox holds it."""

    id: UUID
    time: datetime
    type: str
    payload: Mapping[str, object]


def found(payload: object, path: str) -> object:
    """The value at a key path; None for a null and for what is missing."""
    head, _, rest = path.partition(".")
    if not isinstance(payload, dict) or head not in payload:
        return None
    return found(payload[head], rest) if rest else payload[head]


SIGNS = {"gt": {1}, "ge": {0, 1}, "lt": {-1}, "le": {-1, 0}}
OF_TEXTS = {
    "contains": lambda expected, actual: actual.find(expected) >= 0,
    "starts_with": lambda expected, actual: actual[: len(expected)] == expected,
    "matches": lambda expected, actual: re.fullmatch(expected, actual) is not None,
}


def satisfied(rule: Rule, payload: Mapping[str, object]) -> bool:
    """Does the payload satisfy the rule? A missing path and a null satisfy only `exists` with false."""
    actual = found(payload, rule.path)
    if rule.operator == "exists":
        return (actual is None) == (rule.value in FALSE)
    if actual is None or isinstance(actual, dict | list):
        return False
    if rule.operator in SIGNS:
        return sign(actual, rule) in SIGNS[rule.operator]
    if rule.operator in OF_TEXTS:
        return isinstance(actual, str) and OF_TEXTS[rule.operator](rule.value, actual)
    listed = [each for each in rule.value.split("\n") if each] if rule.operator in ("in", "not_in") else [rule.value]
    return any(equal(actual, each, rule.kind) for each in listed) == (rule.operator in ("eq", "in"))


def equal(actual: object, expected: str, kind: str) -> bool:
    """Booleans as booleans, numbers as numbers, times as times where both are, all else as text."""
    if isinstance(actual, bool):
        return expected in (TRUE if actual else FALSE)
    wanted = read(expected, kind)
    if wanted is None or (kind == "number" and isinstance(actual, str)):
        return f"{actual}" == expected
    return comparable(actual, kind) == wanted


def sign(actual: object, rule: Rule) -> int | None:
    """Is the payload's value less than the expected one (-1), equal (0) or greater (1)?  None: it is neither."""
    have, wanted = comparable(actual, rule.kind), read(rule.value, rule.kind)
    if have is None or wanted is None:
        return None
    return (have > wanted) - (have < wanted)  # type: ignore[operator]


def comparable(actual: object, kind: str) -> Decimal | datetime | None:
    """A payload's value as something that has an order, if its kind has one and it is of this kind."""
    is_number = isinstance(actual, int | float) and not isinstance(actual, bool)
    return read(f"{actual}", kind) if is_number == (kind == "number") else None


def read(text: str, kind: str) -> Decimal | datetime | None:
    """The number or time that a text writes."""
    if kind == "number":
        try:
            return Decimal(text)
        except InvalidOperation:
            return None
    for each in TIME_FORMATS if kind == "time" else []:
        try:
            time = datetime.strptime(text, each)
        except ValueError:
            continue
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def text(payload: Mapping[str, object], path: str) -> str | None:
    """What tells a value from others; nothing does for a null, a container and what is missing."""
    actual = found(payload, path)
    if actual is None or isinstance(actual, dict | list):
        return None
    if isinstance(actual, bool):
        return "true" if actual else "false"
    return f"{actual:.0f}" if isinstance(actual, float) and actual == round(actual) else f"{actual}"


def fulfills(requirement: Requirement, event: Event) -> bool:
    """All rules must match, in its span of time, and what it is to differ in must be there."""
    if requirement.event_type != event.type:
        return False
    if requirement.counts_from is not None and event.time < requirement.counts_from:
        return False
    if requirement.counts_until is not None and event.time >= requirement.counts_until:
        return False
    if requirement.distinct is not None and text(event.payload, requirement.distinct) is None:
        return False
    return all(satisfied(rule, event.payload) for rule in requirement.rules)


def applies(penalty: Penalty, event: Event) -> bool:
    """All rules must match; a penalty needs at least one rule, and no span of time holds it off."""
    if penalty.event_type != event.type or not penalty.rules:
        return False
    return all(satisfied(rule, event.payload) for rule in penalty.rules)


def resets(template: Template, requirement: Requirement, event: Event) -> bool:
    """Does any penalty of the template reset this requirement?  Not if it should say of what, and does not."""
    path = requirement.distinct
    if path is not None and requirement.event_type == event.type and text(event.payload, path) is None:
        return False
    return any(requirement.id in penalty.requirements and applies(penalty, event) for penalty in template.penalties)


def matches(templates: Iterable[Template], event: Event) -> list[tuple[int, set[int], set[int]]]:
    """Template id, fulfilled and reset requirement ids of each template the event touches, by template id."""
    touched = []
    for template in templates:
        if not template.requirements or badge_value(template, event) is None:
            continue
        fulfilled = {r.id for r in template.requirements if fulfills(r, event)}
        reset = {r.id for r in template.requirements if resets(template, r, event)}
        if fulfilled or reset:
            touched.append((template.id, fulfilled, reset))
    return sorted(touched, key=lambda row: row[0])


def badge_value(template: Template, event: Event) -> str | None:
    """For which of the template's badges the event is; the one without a name if there is only one."""
    return text(event.payload, template.per) or None if template.per is not None else ""


def badges(template: Template, events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each badge of a template, by its value: each badge is decided by its own alone."""
    found: dict[str, list[Event]] = {}
    for event in events:
        value = badge_value(template, event)
        if value is not None:
            found.setdefault(value, []).append(event)
    return found


def order(event: Event) -> tuple[datetime, UUID]:
    """Of events at the same time the one with the greater id is the newer."""
    return event.time, event.id


def takes_back(template: Template, requirement: Requirement, taker: Event, event: Event) -> bool:
    """Does `taker` take back that `event` counted?  A counting requirement loses the value that the taker names alone."""
    if not resets(template, requirement, taker) or order(taker) < order(event):
        return False
    if requirement.distinct is None:
        return True
    named = text(taker.payload, requirement.distinct)
    if named is None:
        return taker.type != requirement.event_type
    return named == text(event.payload, requirement.distinct)


def is_counted(template: Template, requirement: Requirement) -> bool:
    """Is it fulfilled by the event that completes it, and not by the newest?"""
    followed = any(each.after == requirement.id for each in template.requirements)
    return requirement.count > 1 or requirement.distinct is not None or requirement.after is not None or followed


def fulfilled_by(template: Template, requirement: Requirement, events: Iterable[Event]) -> Event | None:
    """The event that fulfills the requirement, of those that are about one badge; None if it is not fulfilled.

    The newest that nothing takes back; of a counted one, that with which the first set that suffices was complete.
    """
    standing = counting(template, requirement, events)
    if not is_counted(template, requirement):
        return max(standing, key=order, default=None)
    sets = combinations(standing, requirement.count)
    return min((max(each, key=order) for each in sets if suffices(requirement, each)), key=order, default=None)


def counting(template: Template, requirement: Requirement, events: Iterable[Event]) -> list[Event]:
    """The events that nothing takes back, and later than what fulfilled the requirement that this one comes after."""
    kept = list(events)
    standing = [
        event
        for event in kept
        if fulfills(requirement, event) and not any(takes_back(template, requirement, each, event) for each in kept)
    ]
    for previous in template.requirements:
        if previous.id == requirement.after:
            first = fulfilled_by(template, previous, kept)
            standing = [event for event in standing if first is not None and event.time > first.time]
    return standing


def reached(template: Template, requirement: Requirement, events: Iterable[Event]) -> int:
    """How many events there are that differ as they must and lie near one another."""
    standing = counting(template, requirement, events)
    sizes = range(len(standing), 0, -1)
    return next(
        (size for size in sizes if any(suffices(requirement, each) for each in combinations(standing, size))), 0
    )


def suffices(requirement: Requirement, events: Sequence[Event]) -> bool:
    """Do these differ as they must, and lie near one another?"""
    path = requirement.distinct
    values = {event.id if path is None else text(event.payload, path) for event in events}
    times = [event.time for event in events]
    is_near = requirement.within is None or max(times) - min(times) <= requirement.within
    return len(values) == len(events) and is_near


def is_complete(template: Template, fulfilled: Iterable[int]) -> bool:
    """Same letter: any one. Different letters: all. No letter: a group of its own. No requirements: never."""
    held = set(fulfilled)
    lone = [r.id in held for r in template.requirements if r.group is None]
    letters = {r.group for r in template.requirements if r.group is not None}
    lettered = [any(r.id in held for r in template.requirements if r.group == letter) for letter in letters]
    return len(template.requirements) > 0 and all(lone + lettered)


def earned(template: Template, events: Iterable[Event]) -> datetime | None:
    """When a badge, of the events about it, became complete by the deciding ones, or None: the smallest time that suffices."""
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


def held(template: Template, events: Iterable[Event]) -> dict[str, datetime]:
    """The values for which the template's badge is held, of one learner's events, and when each was earned."""
    moments = {value: earned(template, own) for value, own in badges(template, events).items()}
    return {value: moment for value, moment in moments.items() if moment is not None}
