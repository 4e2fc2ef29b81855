"""What speaks against activating a badge template, in words."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration.organizations import KeyMissing, api_key
from pipeline.configuration.values import allowed_instead
from pipeline.models import Penalty, Requirement, Template, TemplateState


def problems(template: Template) -> list[str]:
    """Everything that speaks against activating a template, each as a sentence; empty when nothing does.

    The templates' rules must be able to do what they say, Credly must have the template active, and the organization
    must have an API key.
    """
    return [*_at_credly(template), *_of_requirements(template), *_of_penalties(template)]


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


def value_problem(event_type: str, path: str, value: str) -> str | None:
    """Why a rule's value can never be met at a key path; None if it can, or if type or path is unknown."""
    if event_type not in catalogue.event_types():
        return None
    type_word = catalogue.key_paths(event_type).get(path, "")
    allowed = allowed_instead(type_word, value)
    if allowed is None:
        return None
    return _("“%(value)s” does not fit %(path)s, which is of the type %(type)s. Allowed: %(allowed)s.") % {
        "value": value,
        "path": path,
        "type": type_word,
        "allowed": allowed,
    }


def _at_credly(template: Template) -> Iterator[str]:
    if template.state != TemplateState.ACTIVE:
        yield _("At Credly the template is not active but in the state “%(state)s”. Publish it there, then sync.") % {
            "state": template.get_state_display()
        }
    try:
        api_key(template.organization)
    except KeyMissing as missing:
        yield str(missing)


def _of_requirements(template: Template) -> Iterator[str]:
    requirements = template.requirements.all()
    if not requirements:
        yield _("It has no requirement.")
    for requirement in requirements:
        for problem in _of_condition(requirement):
            yield _("Requirement “%(id)s”: %(problem)s") % {"id": requirement.slug, "problem": problem}


def _of_penalties(template: Template) -> Iterator[str]:
    for penalty in template.penalties.all():
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


def _of_condition(condition: Requirement | Penalty) -> Iterator[str]:
    problem = event_type_problem(condition.event_type)
    if problem:
        yield problem
    for rule in condition.rules.all():
        problem = path_problem(condition.event_type, rule.data_path) or value_problem(
            condition.event_type, rule.data_path, rule.value
        )
        if problem:
            yield problem
