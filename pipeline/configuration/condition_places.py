"""Requirements, penalties and rules of a badge configuration file, read from their places and checked."""

import re
import string
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import TypeVar

from pipeline.bus.catalogue import badge_event_types, key_paths
from pipeline.configuration import spans
from pipeline.configuration.circles import needs
from pipeline.configuration.conditions import Problem, Wanted, requirement_problems, rule_problem
from pipeline.configuration.entries import PenaltyEntry, RequirementEntry, RuleEntry
from pipeline.configuration.places import Place
from pipeline.configuration.values import with_zone
from pipeline.models import Operator
from pipeline.models.configuration import LONGEST_VALUE

TRUE, FALSE = "true", "false"
LISTING = (Operator.IN, Operator.NOT_IN)

ConditionPlace = Mapping[str, Place]
"""The places of a requirement or penalty by key."""

_ONE_VALUE: Mapping[str, str] = {
    Operator.EQUALS: "one value, or the operator 'in' for one of several",
    Operator.NOT_EQUALS: "one value, or the operator 'not_in' for none of several",
}
"""What is allowed instead of a list, by operator."""

_SLUG = re.compile(r"[-a-zA-Z0-9_]+")

T = TypeVar("T")


def read_requirement(place: Place, seen: dict[Hashable, Place], per: str) -> tuple[RequirementEntry, ConditionPlace]:
    """A requirement and its places.  What it comes after is for the caller to check, who knows the others.

    Args:
        place: where it stands.
        seen: the ids of its template so far.
        per: the key path of which its template has a badge for each value, or empty.
    """
    noted = place.problems_noted
    fields = place.mapping(
        ["id", "event_type"],
        ["group", "description", "count", "distinct", "within", "from", "until", "after", "rules"],
    )
    event_type = _event_type(fields["event_type"])
    entry = RequirementEntry(
        slug=_slug(fields["id"], seen),
        event_type=event_type,
        group=_group(fields["group"]),
        description=fields["description"].text(blank=True),
        count=fields["count"].whole_number(1),
        distinct=fields["distinct"].text(255),
        within=_converted(fields["within"], spans.duration),
        counts_from=_converted(fields["from"], spans.start),
        counts_until=_converted(fields["until"], spans.end),
        after=fields["after"].text(100),
        rules=_rules(fields["rules"].entries(), event_type),
    )
    if place.problems_noted == noted:
        for problem in requirement_problems(entry.wanted, per):
            refuse(fields, problem)
    return entry, fields


def read_penalty(place: Place, seen: dict[Hashable, Place], requirement_slugs: Collection[str]) -> PenaltyEntry:
    """A penalty.

    Args:
        place: where it stands.
        seen: the ids of its template's penalties so far.
        requirement_slugs: the ids of its template's requirements.
    """
    noted = place.problems_noted
    fields = place.mapping(["id", "event_type", "requirements", "rules"], ["description"])
    event_type = _event_type(fields["event_type"])
    named: dict[Hashable, Place] = {}
    requirements = []
    for each in fields["requirements"].entries(at_least_one="requirement"):
        slug = each.choice(requirement_slugs, "a requirement of this template")
        each.unique(slug, named)
        requirements.append(slug)
    entry = PenaltyEntry(
        slug=_slug(fields["id"], seen),
        event_type=event_type,
        description=fields["description"].text(blank=True),
        requirements=tuple(requirements),
        rules=_rules(fields["rules"].entries(at_least_one="rule"), event_type),
    )
    if place.problems_noted == noted:
        for problem in requirement_problems(entry.wanted):
            refuse(fields, problem)
    return entry


def refuse(fields: Mapping[str, Place], problem: Problem | None) -> None:
    """Note a problem, if there is one, at the place of its field."""
    if problem is not None:
        fields[problem.field].refuse(problem.message.removesuffix("."), problem.allowed)


def _slug(place: Place, seen: dict[Hashable, Place]) -> str:
    slug = place.text(100)
    if slug and not _SLUG.fullmatch(slug):
        place.refuse(f"{slug!r} is not an id", "letters a-z A-Z, digits, - and _")
    place.unique(slug, seen)
    return slug


def _event_type(place: Place) -> str:
    return place.choice(badge_event_types(), "an event type badges may use")


def _group(place: Place) -> str:
    group = place.text()
    if group and (len(group) > 1 or group not in string.ascii_uppercase):
        place.refuse(f"{group[:10]!r} is not a group", "A to Z, or null")
    return group


def _converted(place: Place, convert: Callable[[str], T]) -> T | None:
    text = place.scalar(100) if place.present else ""
    try:
        return convert(text) if text else None
    except ValueError as error:
        place.refuse(str(error).removesuffix("."))
        return None


def _rules(places: Iterable[Place], event_type: str) -> tuple[RuleEntry, ...]:
    paths = key_paths(event_type) if event_type else None
    return tuple(_rule(place, event_type, paths) for place in places)


def _rule(place: Place, event_type: str, paths: Mapping[str, str] | None) -> RuleEntry:
    """A rule; without `paths`, because its event type was refused, its key path and value go unchecked."""
    fields = place.mapping(["data_path", "operator", "value"])
    path = (
        fields["data_path"].text()
        if paths is None
        else fields["data_path"].choice(paths, f"a key path of {event_type}")
    )
    type_word = (paths or {}).get(path, "")
    operator = fields["operator"].choice(Operator.values, "an operator")
    noted = place.problems_noted
    value = _value(fields["value"], operator, type_word)
    if operator and value and place.problems_noted == noted:
        refuse(fields, rule_problem(type_word, operator, value))
    zoned = with_zone(type_word, value)
    if zoned != value and place.problems_noted == noted:
        fields["value"].warn(f"{value!r} has no time zone and is taken as {zoned!r}")
    for uuid in sorted(needs([Wanted("", event_type, ((path, operator, zoned),))])):
        fields["value"].name(uuid)
    return RuleEntry(path, operator, zoned)


def _value(place: Place, operator: str, type_word: str) -> str:
    """A rule's value as it is written, of a list each on a line; a YAML boolean where one is meant is `true` or `false`."""
    if operator in LISTING:
        return _listed(place, operator, type_word)
    if place.kind == "a boolean" and (type_word == "boolean" or operator == Operator.EXISTS):
        return TRUE if place.boolean() else FALSE
    if place.kind == "a list":
        if operator:
            place.refuse(
                f"must be one value for the operator {operator!r}, not a list", _ONE_VALUE.get(operator, "one value")
            )
        return ""
    is_text = type_word in ("", "text") and operator in (Operator.EQUALS, Operator.NOT_EQUALS)
    return place.scalar(LONGEST_VALUE, blank=is_text)


def _listed(place: Place, operator: str, type_word: str) -> str:
    if place.present and place.kind != "a list":
        place.refuse(f"must be a list of values for the operator {operator!r}, not {place.kind}")
        return ""
    values = []
    for each in place.entries(at_least_one="value"):
        value = each.scalar(LONGEST_VALUE)
        if "\n" in value:
            each.refuse("is more than one line")
        elif value and (problem := rule_problem(type_word, operator, value)) and problem.field == "value":
            refuse({problem.field: each}, problem)
        values.append(value)
    text = "\n".join(values)
    if len(text) > LONGEST_VALUE:
        place.refuse(f"is too long: {len(text)} characters with the line breaks between", f"up to {LONGEST_VALUE}")
    return text
