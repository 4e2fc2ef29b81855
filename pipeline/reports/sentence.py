"""The rule of a badge template in plain English.

Reads `template.requirements`, `template.penalties`, their `rules` and the penalties' `requirements`: prefetch them
(`WHOLE_RULE`) where there are several templates.
"""

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from pipeline.bus.catalogue import badge_event_types, event_types
from pipeline.bus.descriptions import describe
from pipeline.models import Operator, Penalty, Requirement, Rule, Template
from pipeline.rules import parse_boolean

WHOLE_RULE = ("requirements__rules", "penalties__rules", "penalties__requirements")
"""What to prefetch of templates."""


def sentence(template: Template) -> str:
    """When the badge is awarded, when it is revoked, and whether it then may be earned again.

    Says the same as the compiled ruleset does: a penalty that can do nothing is left out.
    """
    requirements = list(template.requirements.all())
    if not requirements:
        return _("Never awarded: there is no requirement.")
    parts = [_("Awarded when %(needed)s.") % {"needed": _needed(requirements)}]
    strikes = [_strike(penalty, requirements) for penalty in template.penalties.all() if _can_strike(penalty)]
    if not strikes:
        return " ".join([*parts, _("No event revokes it.")])
    parts += [_("Revoked when %(penalty)s.") % {"penalty": strike} for strike in strikes]
    parts.append(_("May then be earned again.") if template.reaward else _("Once revoked, it is not awarded again."))
    return " ".join(parts)


def formula(template: Template) -> str:
    """Which requirements are needed, by id: "python or r, and statistics"; empty without requirements."""
    groups = _groups(template.requirements.all())
    return _all_of(_any_of([row.slug for row in group]) for group in groups)


def condition_in_words(condition: Requirement | Penalty) -> str:
    """What has to happen, as it goes on after "when"; says so where no event can do it."""
    clause = describe(condition.event_type).clause
    rules = list(condition.rules.all())
    if rules:
        clause = f"{clause} ({rules_in_words(condition)})"
    if condition.event_type not in badge_event_types():
        clause = _("%(clause)s, which never happens: the settings do not list this event type") % {"clause": clause}
    return clause


def rules_in_words(condition: Requirement | Penalty) -> str:
    """All rules of a requirement or penalty, such as "is_passing is true and course.course_key is “...”"."""
    rules = list(condition.rules.all())
    if not rules:
        return _("any event of this type") if isinstance(condition, Requirement) else _("no rule, so it does nothing")
    return _(" and ").join(_rule(rule, condition.event_type) for rule in rules)


def group_in_words(requirement: Requirement, all_of_template: Iterable[Requirement]) -> str:
    """What a requirement's group means: needed by itself, or an alternative to which others."""
    if not requirement.group:
        return _("needed by itself")
    others = [row.slug for row in all_of_template if row.group == requirement.group and row.pk != requirement.pk]
    if not others:
        return _("%(group)s: needed, as it has no alternative") % {"group": requirement.group}
    return _("%(group)s: this, or %(others)s") % {"group": requirement.group, "others": _any_of(others)}


def _groups(requirements: Iterable[Requirement]) -> list[list[Requirement]]:
    """One list per group letter and one per requirement without a letter, in the order of the requirements."""
    groups: dict[str | int, list[Requirement]] = {}
    for row in requirements:
        groups.setdefault(row.group or row.pk, []).append(row)
    return list(groups.values())


def _needed(requirements: Iterable[Requirement]) -> str:
    return _all_of(_either([condition_in_words(row) for row in group]) for group in _groups(requirements))


def _can_strike(penalty: Penalty) -> bool:
    return bool(penalty.rules.all() and penalty.requirements.all() and penalty.event_type in badge_event_types())


def _strike(penalty: Penalty, requirements: Iterable[Requirement]) -> str:
    """The penalty's condition, and what may still hold the badge: alternatives in every group that it strikes."""
    taken = {row.pk for row in penalty.requirements.all()}
    struck = [group for group in _groups(requirements) if any(row.pk in taken for row in group)]
    left = [[f"“{row.slug}”" for row in group if row.pk not in taken] for group in struck]
    strike = condition_in_words(penalty)
    if not all(left):
        return strike
    return _("%(penalty)s, unless %(left)s still stands") % {
        "penalty": strike,
        "left": _all_of(_any_of(alternatives) for alternatives in left),
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


def _either(parts: Sequence[str]) -> str:
    return _("either %(alternatives)s") % {"alternatives": _any_of(parts)} if len(parts) > 1 else parts[0]


def _any_of(parts: Sequence[str]) -> str:
    return _(" or ").join(parts)


def _all_of(parts: Iterable[str]) -> str:
    return _(", and ").join(parts)
