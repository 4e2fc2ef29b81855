"""What has to happen for a requirement or penalty, as it goes on after "when"."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from pipeline.bus.catalogue import badge_event_types, event_types
from pipeline.bus.descriptions import describe
from pipeline.models import Operator, Penalty, Requirement, Rule
from pipeline.reports.phrases import bare
from pipeline.rules import parse_boolean

Condition = Requirement | Penalty

SIGNS = {"eq": "=", "ne": "!="}
"""How operators are written in short."""


@dataclass(frozen=True)
class Clause:
    """`what` stands at the place %(what)s of `pattern`; alternatives of one pattern share it."""

    what: str
    pattern: str = "%(what)s"

    def __str__(self) -> str:
        return self.pattern % {"what": self.what}


def clause(condition: Condition) -> Clause:
    """The condition by its description, else by its rules; says so where no event can meet it."""
    found = _described(condition) or _passing(condition) or Clause(_in_general(condition))
    if condition.event_type in badge_event_types():
        return found
    return Clause(_("%(clause)s, which never happens: the settings do not list this event type") % {"clause": found})


def either(clauses: Iterable[Clause]) -> str:
    """Alternatives; what they have in common is said once."""
    alike: dict[str, dict[str, None]] = {}
    for each in clauses:
        alike.setdefault(each.pattern, {})[each.what] = None
    parts = [str(Clause(any_of(list(whats)), pattern)) for pattern, whats in alike.items()]
    if sum(len(whats) for whats in alike.values()) == 1:
        return parts[0]
    return _("either %(alternatives)s") % {"alternatives": any_of(parts)}


def any_of(parts: Sequence[str]) -> str:
    """Alternatives in one list."""
    return _(" or ").join(parts)


def rules_in_words(condition: Condition) -> str:
    """All rules of a requirement or penalty, such as "is_passing is true and course.course_key is “...”"."""
    rules = list(condition.rules.all())
    if not rules:
        return _("any event of this type") if isinstance(condition, Requirement) else _("no rule, so it does nothing")
    return _(" and ").join(_rule(rule, condition.event_type) for rule in rules)


def needs(requirement: Requirement) -> str:
    """What an event must be to fulfill a requirement: its type, and its rules in words."""
    return f"{describe(requirement.event_type).title}: {rules_in_words(requirement)}"


def matched_rules(matched: Mapping[str, Any]) -> str:
    """The rules that decided a requirement, as they stood then.

    Args:
        matched: of a `Fulfillment`.
    """
    written = [f"{path} {SIGNS[operator]} {value}" for path, operator, value in matched["rules"]]
    return f" {_('and')} ".join(written) or _("every event of its type")


def _described(condition: Condition) -> Clause | None:
    description = bare(condition.description)
    if not description:
        return None
    pattern = _("%(what)s is fulfilled") if isinstance(condition, Requirement) else _("%(what)s applies")
    return Clause(f"“{description}”", pattern)


def _passing(condition: Condition) -> Clause | None:
    """The condition if its rules are whether a course is passed, and perhaps which."""
    passes: list[bool] = []
    courses: list[str] = []
    for rule in condition.rules.all():
        boolean = parse_boolean(rule.value)
        if rule.data_path == "is_passing" and boolean is not None:
            passes.append(boolean == (rule.operator == Operator.EQUALS))
        elif rule.data_path in ("course.course_key", "course.ccx_course_key"):
            courses.append(_course(rule))
        else:
            return None
    if len(passes) != 1 or len(courses) > 1:
        return None
    ccx = condition.event_type.startswith("org.openedx.learning.ccx.")
    course = courses[0] if courses else _("a custom course (CCX)") if ccx else _("a course")
    return Clause(course, _("the learner passes %(what)s") if passes[0] else _("the learner does not pass %(what)s"))


def _course(rule: Rule) -> str:
    """The course that a rule names, or any but that."""
    if rule.operator == Operator.EQUALS:
        return _("the course “%(key)s”") % {"key": rule.value}
    return _("a course other than “%(key)s”") % {"key": rule.value}


def _in_general(condition: Condition) -> str:
    description = describe(condition.event_type)
    if not condition.rules.all():
        return description.clause
    return _("an event “%(title)s” comes in which %(rules)s") % {
        "title": description.title,
        "rules": rules_in_words(condition),
    }


def _rule(rule: Rule, event_type: str) -> str:
    operator = _("is not") if rule.operator == Operator.NOT_EQUALS else _("is")
    return f"{rule.data_path} {operator} {_value(rule, event_type)}"


def _value(rule: Rule, event_type: str) -> str:
    known = event_types().get(event_type)
    boolean = parse_boolean(rule.value)
    if boolean is not None and known is not None and known.key_paths.get(rule.data_path) is bool:
        return _("true") if boolean else _("false")
    return f"“{rule.value}”"
