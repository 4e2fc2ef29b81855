"""What speaks against activating a badge template, in words."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration.circles import badge_circle
from pipeline.configuration.conditions import (
    Wanted,
    order_problems,
    per_problem,
    requirement_problems,
    rule_problem,
)
from pipeline.configuration.organizations import KeyMissing, api_key
from pipeline.models import Penalty, Requirement, Template, TemplateState
from pipeline.models.configuration import Rule


def problems(template: Template) -> list[str]:
    """Everything that speaks against activating a template, each as a sentence; empty when nothing does.

    The templates' rules must be able to do what they say, Credly must have the template active, and the organization
    must have an API key.
    """
    requirements = list(template.requirements.prefetch_related("rules", "after"))
    penalties = list(template.penalties.prefetch_related("rules", "requirements"))
    return [
        *_at_credly(template),
        *_of_requirements(requirements, template.per),
        *_of_penalties(penalties),
        *_of_per(template, [*requirements, *penalties]),
        *_of_circle(template, requirements),
    ]


def event_type_problem(event_type: str) -> str | None:
    """Why no requirement or penalty may use an event type; None if one may."""
    if event_type in catalogue.badge_event_types():
        return None
    return _("The event type %(name)s is not one that badges may use: the setting BADGES_CONFIG does not list it.") % {
        "name": event_type
    }


def path_problem(event_type: str, path: str) -> str | None:
    """Why a rule on events of this type can't use a key path; None if it can, or if the event type is unknown."""
    if event_type not in catalogue.event_types():
        return None
    offered = catalogue.key_paths(event_type)
    if path in offered:
        return None
    return _("“%(path)s” is no key path of “%(title)s”. There are: %(offered)s.") % {
        "path": path,
        "title": describe(event_type).title,
        "offered": ", ".join(offered) or _("none"),
    }


def duplicates_allowed(template: Template) -> bool | None:
    """Whether Credly lets a learner hold the template's badge more than once; None if no sync has told yet."""
    return template.allows_duplicates if template.synced_at else None


def wanted(row: Requirement | Penalty, rules: tuple[tuple[str, str, str], ...] | None = None) -> Wanted:
    """A requirement or penalty as the checks take it, with its stored rules or, for it may not be stored yet, with others."""
    if rules is None:
        rules = tuple((rule.data_path, rule.operator, rule.value) for rule in row.rules.all())
    if isinstance(row, Penalty):
        return Wanted(row.slug, row.event_type, rules)
    return Wanted(
        slug=row.slug,
        event_type=row.event_type,
        rules=rules,
        count=row.count,
        distinct=row.distinct,
        within=row.within,
        counts_from=row.counts_from,
        counts_until=row.counts_until,
        after=row.after.slug if row.after else "",
    )


def _at_credly(template: Template) -> Iterator[str]:
    if template.state != TemplateState.ACTIVE:
        yield _("At Credly the template is not active but in the state “%(state)s”. Publish it there, then sync.") % {
            "state": template.get_state_display()
        }
    try:
        api_key(template.organization)
    except KeyMissing as missing:
        yield str(missing)


def _of_requirements(requirements: list[Requirement], per: str) -> Iterator[str]:
    if not requirements:
        yield _("It has no requirement.")
    in_order = order_problems([wanted(requirement) for requirement in requirements])
    for requirement in requirements:
        misplaced = in_order.get(requirement.slug)
        for problem in (*_of_condition(requirement, per), *([str(misplaced)] if misplaced else [])):
            yield _("Requirement “%(id)s”: %(problem)s") % {"id": requirement.slug, "problem": problem}


def _of_penalties(penalties: list[Penalty]) -> Iterator[str]:
    for penalty in penalties:
        for problem in (*_of_penalty(penalty), *_of_condition(penalty)):
            yield _("Penalty “%(id)s”: %(problem)s") % {"id": penalty.slug, "problem": problem}


def _of_penalty(penalty: Penalty) -> Iterator[str]:
    if not penalty.rules.all():
        yield _("It has no rule, so it would do nothing.")
    taken_back = penalty.requirements.all()
    if not taken_back:
        yield _("It takes back no requirement.")
    if any(requirement.template_id != penalty.template_id for requirement in taken_back):
        yield _("It takes back a requirement of another template.")


def _of_per(template: Template, conditions: list[Requirement | Penalty]) -> Iterator[str]:
    event_types = [condition.event_type for condition in conditions]
    problem = per_problem(template.per, event_types, allows_duplicates=duplicates_allowed(template))
    if problem:
        yield _("One badge for each value of %(path)s: %(problem)s") % {"path": template.per, "problem": problem}


def _of_circle(template: Template, requirements: list[Requirement]) -> Iterator[str]:
    circle = badge_circle(template.uuid, [wanted(requirement) for requirement in requirements])
    if circle:
        names = dict(Template.objects.filter(uuid__in=circle).values_list("uuid", "name"))
        way = [f"“{names.get(uuid, uuid)}”" for uuid in (*circle, template.uuid)]
        yield _("It would need a badge of its own: %(way)s.") % {"way": _(" needs ").join(way)}


def _of_condition(condition: Requirement | Penalty, per: str = "") -> Iterator[str]:
    problem = event_type_problem(condition.event_type)
    if problem:
        yield problem
    for rule in condition.rules.all():
        problem = path_problem(condition.event_type, rule.data_path) or _rule_problem(condition.event_type, rule)
        if problem:
            yield problem
    yield from map(str, requirement_problems(wanted(condition), per))


def _rule_problem(event_type: str, rule: Rule) -> str | None:
    """Why a rule can never be met, or has no meaning; None if it can, or if type or path is unknown."""
    if event_type not in catalogue.event_types():
        return None
    problem = rule_problem(catalogue.key_paths(event_type).get(rule.data_path, ""), rule.operator, rule.value)
    return _("Rule on %(path)s: %(problem)s") % {"path": rule.data_path, "problem": problem} if problem else None
