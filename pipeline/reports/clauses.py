"""What has to happen for a requirement or penalty, as it goes on after "when"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.bus.catalogue import badge_event_types
from pipeline.bus.descriptions import describe
from pipeline.models import Operator, Penalty, Requirement, Rule
from pipeline.reports.amounts import how_many, how_often, limits
from pipeline.reports.comparisons import quoted, rule_in_words, values_of
from pipeline.reports.phrases import bare
from pipeline.rules import parse_boolean

Condition = Requirement | Penalty

_COURSE_PATHS = ("course.course_key", "course.ccx_course_key")
_NAMING = (Operator.EQUALS, Operator.IN)
_RESTRICTIONS = {
    Operator.EQUALS: gettext_lazy("%(keys)s"),
    Operator.IN: gettext_lazy("%(keys)s"),
    Operator.NOT_EQUALS: gettext_lazy("other than %(keys)s"),
    Operator.NOT_IN: gettext_lazy("other than %(keys)s"),
    Operator.STARTS_WITH: gettext_lazy("whose key starts with %(keys)s"),
    Operator.CONTAINS: gettext_lazy("whose key contains %(keys)s"),
    Operator.MATCHES: gettext_lazy("whose key matches %(keys)s"),
}
"""Which courses a rule takes, as it follows the word "course"."""


@dataclass(frozen=True)
class Clause:
    """`what` stands at the place %(what)s of `pattern`; alternatives of one pattern share it."""

    what: str
    pattern: str = "%(what)s"

    def __str__(self) -> str:
        return self.pattern % {"what": self.what}

    def then(self, text: str, sign: str = " ") -> "Clause":
        """The clause with a text after it, if there is one."""
        return replace(self, pattern=f"{self.pattern}{sign}{text.replace('%', '%%')}") if text else self


def clause(condition: Condition) -> Clause:
    """The condition by its description, else by its rules; says so where no event can meet it."""
    found = _described(condition) or _passing(condition) or _in_general(condition)
    if condition.event_type in badge_event_types():
        return found
    return found.then(_("which never happens: the settings do not list this event type"), ", ")


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
    return _(" and ").join(rule_in_words(rule, condition.event_type) for rule in rules)


def needs(requirement: Requirement) -> str:
    """What fulfills a requirement: the type of the event, its rules in words, and how many of them when."""
    return "; ".join(
        filter(None, (f"{describe(requirement.event_type).title}: {rules_in_words(requirement)}", extent(requirement)))
    )


def extent(requirement: Requirement) -> str:
    """How many events a requirement takes, and of what time; empty for any one."""
    return ", ".join(filter(None, (how_many(requirement), limits(requirement))))


def _described(condition: Condition) -> Clause | None:
    description = bare(condition.description)
    if not description:
        return None
    if isinstance(condition, Penalty):
        return Clause(f"“{description}”", _("%(what)s applies"))
    asked = extent(condition)
    return Clause(f"“{description}”", _("%(what)s is fulfilled")).then(f"({asked})" if asked else "")


def _passing(condition: Condition) -> Clause | None:
    """The condition if its rules are whether a course is passed, and perhaps which."""
    passes: list[bool] = []
    which: list[Rule] = []
    for rule in condition.rules.all():
        boolean = parse_boolean(rule.value)
        if rule.data_path == "is_passing" and boolean is not None and rule.operator in ("eq", "ne"):
            passes.append(boolean == (rule.operator == Operator.EQUALS))
        elif rule.data_path in _COURSE_PATHS and rule.operator in _RESTRICTIONS:
            which.append(rule)
        else:
            return None
    if len(passes) != 1 or len(which) > 1:
        return None
    pattern = _("the learner passes %(what)s") if passes[0] else _("the learner does not pass %(what)s")
    if isinstance(condition, Penalty):
        return Clause(_course(condition, *which), pattern)
    if condition.count == 1:
        return Clause(_course(condition, *which), pattern).then(limits(condition))
    if condition.distinct in _COURSE_PATHS:
        return Clause(_different_courses(condition, *which), pattern).then(limits(condition))
    return Clause(_course(condition, *which), pattern).then(how_often(condition), ", ").then(limits(condition), ", ")


def _course(condition: Condition, rule: Rule | None = None) -> str:
    """The course that is to be passed, or any that the rule takes."""
    if rule is not None and rule.operator in _NAMING:
        return _("the course %(keys)s") % {"keys": quoted(values_of(rule))}
    course = _("a custom course (CCX)") if _is_ccx(condition) else _("a course")
    return f"{course} {_restriction(rule)}" if rule else course


def _different_courses(requirement: Requirement, rule: Rule | None = None) -> str:
    """How many different courses are to be passed, of those that the rule takes."""
    counted = (
        ngettext(
            "%(count)s different custom course (CCX)", "%(count)s different custom courses (CCX)", requirement.count
        )
        if _is_ccx(requirement)
        else ngettext("%(count)s different course", "%(count)s different courses", requirement.count)
    ) % {"count": requirement.count}
    if rule is None:
        return counted
    return (
        f"{counted} {_('of')} {_restriction(rule)}" if rule.operator in _NAMING else f"{counted} {_restriction(rule)}"
    )


def _restriction(rule: Rule) -> str:
    return str(_RESTRICTIONS[Operator(rule.operator)]) % {"keys": quoted(values_of(rule))}


def _is_ccx(condition: Condition) -> bool:
    return condition.event_type.startswith("org.openedx.learning.ccx.")


def _in_general(condition: Condition) -> Clause:
    description = describe(condition.event_type)
    if condition.rules.all():
        text = _("an event “%(title)s” comes in which %(rules)s") % {
            "title": description.title,
            "rules": rules_in_words(condition),
        }
    else:
        text = description.clause
    if isinstance(condition, Penalty):
        return Clause(text)
    often = how_often(condition)
    return Clause(f"{text}, {often}" if often else text).then(limits(condition), ", ")
