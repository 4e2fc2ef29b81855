"""The compiled ruleset of the current configuration, kept per process until the configuration changes."""

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction

from pipeline import models, rules
from pipeline.bus import catalogue


@dataclass(frozen=True)
class Compiled:
    """A version of the configuration: its stamp, its ruleset, and the stable names of its requirements and penalties."""

    stamp: uuid.UUID | None
    ruleset: rules.Ruleset
    requirement_slugs: dict[int, str]
    penalty_slugs: dict[int, str]


logger = logging.getLogger(__name__)

_compiled: Compiled | None = None


def current() -> Compiled:
    """The configuration of now: one query when nothing changed since the last call, six when something did."""
    global _compiled
    stamp = models.ConfigurationVersion.current()
    if _compiled is None or _compiled.stamp != stamp:
        _compiled = _compile()
    return _compiled


def compiled(template: models.Template) -> rules.Template:
    """One template as the rules see it, whether or not it is active.

    Raises:
        ValueError: it is broken, and so takes no part in anything.
    """
    return _template(template, catalogue.badge_event_types().__contains__)


def _compile() -> Compiled:
    """Read the active templates.

    The stamp is read before and after: if somebody commits a change while we read, we may hold half of it and read again.
    """
    while True:
        stamp = models.ConfigurationVersion.current()
        with transaction.atomic():
            templates = list(
                models.Template.objects.filter(active=True).prefetch_related(
                    "requirements__rules", "penalties__rules", "penalties__requirements"
                )
            )
        if models.ConfigurationVersion.current() == stamp:
            break
    usable = catalogue.badge_event_types()
    return Compiled(
        stamp=stamp,
        ruleset=rules.Ruleset(_sound(templates, usable.__contains__)),
        requirement_slugs={item.pk: item.slug for template in templates for item in template.requirements.all()},
        penalty_slugs={item.pk: item.slug for template in templates for item in template.penalties.all()},
    )


def _sound(templates: Iterable[models.Template], usable: Callable[[str], bool]) -> Iterator[rules.Template]:
    """The templates that can be compiled: a broken one must not stop the others."""
    for template in templates:
        try:
            yield _template(template, usable)
        except ValueError as error:
            logger.error("Badge template %s takes no part: %s", template.uuid, error)


def _template(template: models.Template, usable: Callable[[str], bool]) -> rules.Template:
    """A template as the rules see it.

    Event types that `BADGES_CONFIG["events"]` no longer lists match nothing, but their requirements still count as needed.
    """
    return rules.Template(
        id=template.pk,
        reaward=template.reaward,
        per=template.per or None,
        requirements=tuple(
            rules.Requirement(
                id=requirement.pk,
                template=template.pk,
                event_type=requirement.event_type if usable(requirement.event_type) else "",
                group=requirement.group or None,
                rules=_rules(requirement),
                count=requirement.count,
                distinct=requirement.told_apart_by or None,
                within=requirement.within,
                counts_from=requirement.counts_from,
                counts_until=requirement.counts_until,
                after=requirement.after_id,
                begun_anew=requirement.begun_anew,
            )
            for requirement in template.requirements.all()
        ),
        penalties=tuple(
            rules.Penalty(
                id=penalty.pk,
                template=template.pk,
                event_type=penalty.event_type,
                requirements=frozenset(requirement.pk for requirement in penalty.requirements.all()),
                rules=_rules(penalty),
            )
            for penalty in template.penalties.all()
            if usable(penalty.event_type)
        ),
    )


def _rules(condition: models.Requirement | models.Penalty) -> tuple[rules.Rule, ...]:
    kinds = catalogue.kinds(condition.event_type)
    return tuple(
        rules.Rule(row.data_path, row.operator, row.value, kinds.get(row.data_path, "text"))
        for row in condition.rules.all()
    )
