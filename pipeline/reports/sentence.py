"""The rule of a badge template in plain English.

Reads `template.requirements`, `template.penalties`, their `rules` and the penalties' `requirements`: prefetch them
(`WHOLE_RULE`) where there are several templates.
"""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from pipeline.bus.catalogue import badge_event_types, event_type
from pipeline.models import Penalty, Requirement, Template
from pipeline.reports.amounts import each_of, noun
from pipeline.reports.clauses import any_of, clause, either
from pipeline.reports.phrases import bare

WHOLE_RULE = ("requirements__rules", "penalties__rules", "penalties__requirements")
"""What to prefetch of templates."""


def sentence(template: Template) -> str:
    """When the badge is awarded, when it is revoked, and whether it then may be earned again.

    Says the same as the compiled ruleset does: a penalty that can do nothing is left out.
    """
    requirements = list(template.requirements.all())
    if not requirements:
        return _("Never awarded: there is no requirement.")
    needed, each = _needed(requirements), each_of(template)
    awarded = _("Awarded, once for %(each)s, when %(needed)s.") if each else _("Awarded when %(needed)s.")
    parts = [awarded % {"each": each, "needed": needed}]
    strikes = [_strike(penalty, requirements) for penalty in template.penalties.all() if _can_strike(penalty)]
    if not strikes:
        return " ".join([*parts, _("No event revokes it.")])
    revoked = _("Revoked, for the same %(noun)s, when %(penalty)s.") if each else _("Revoked when %(penalty)s.")
    parts += [revoked % {"noun": noun(template.per), "penalty": strike} for strike in strikes]
    parts.append(_("May then be earned again.") if template.reaward else _("Once revoked, it is not awarded again."))
    return " ".join(parts)


def formula(template: Template) -> str:
    """Which requirements are needed, by id: "python or r, and statistics"; empty without requirements."""
    groups = _groups(template.requirements.all())
    return _all_of(any_of([row.slug for row in group]) for group in groups)


def group_in_words(requirement: Requirement, all_of_template: Iterable[Requirement]) -> str:
    """What a requirement's group means: needed by itself, or an alternative to which others."""
    if not requirement.group:
        return _("needed by itself")
    others = [row.slug for row in all_of_template if row.group == requirement.group and row.pk != requirement.pk]
    if not others:
        return _("%(group)s: needed, as it has no alternative") % {"group": requirement.group}
    return _("%(group)s: this, or %(others)s") % {"group": requirement.group, "others": any_of(others)}


def _groups(requirements: Iterable[Requirement]) -> list[list[Requirement]]:
    """One list per group letter and one per requirement without a letter, in the order of the requirements."""
    groups: dict[str | int, list[Requirement]] = {}
    for row in requirements:
        groups.setdefault(row.group or row.pk, []).append(row)
    return list(groups.values())


def _needed(requirements: Iterable[Requirement]) -> str:
    return _all_of(either(clause(row) for row in group) for group in _groups(requirements))


def _can_strike(penalty: Penalty) -> bool:
    return bool(penalty.rules.all() and penalty.requirements.all() and penalty.event_type in badge_event_types())


def _strike(penalty: Penalty, requirements: Iterable[Requirement]) -> str:
    """The penalty's condition, and what may still hold the badge in every group that it strikes.

    That is an alternative; or the requirement itself, of several values, when only that of the event is taken back.
    """
    taken = {row.pk for row in penalty.requirements.all() if not _takes_back_one_value(penalty, row)}
    aimed_at = {row.pk for row in penalty.requirements.all()}
    struck = [group for group in _groups(requirements) if any(row.pk in aimed_at for row in group)]
    left = [[f"“{bare(row.description) or row.slug}”" for row in group if row.pk not in taken] for group in struck]
    strike = str(clause(penalty))
    if not all(left):
        return strike
    return _("%(penalty)s, unless %(left)s is still fulfilled") % {
        "penalty": strike,
        "left": _all_of(any_of(alternatives) for alternatives in left),
    }


def _takes_back_one_value(penalty: Penalty, requirement: Requirement) -> bool:
    known = event_type(penalty.event_type)
    return known is not None and requirement.distinct in known.key_paths


def _all_of(parts: Iterable[str]) -> str:
    return _(", and ").join(parts)
