"""A template as the rules see it, without what events must be: enough to tell how far a learner is."""

from collections.abc import Sequence

from pipeline import rules
from pipeline.models import Requirement, Template


def outline(template: Template, requirements: Sequence[Requirement]) -> rules.Template:
    """The requirements with their groups, and how many events each takes when.

    It can be made of a template whose rules can't be compiled, too.  Where requirements come after each other in a circle,
    so that the template takes no part in anything, their order is left out.
    """
    try:
        return _outline(template, requirements, in_order=True)
    except ValueError:
        return _outline(template, requirements, in_order=False)


def _outline(template: Template, requirements: Sequence[Requirement], *, in_order: bool) -> rules.Template:
    return rules.Template(
        id=template.pk,
        requirements=tuple(
            rules.Requirement(
                id=row.pk,
                template=template.pk,
                event_type=row.event_type,
                group=row.group or None,
                rules=(),
                count=row.count,
                distinct=row.told_apart_by or None,
                within=row.within,
                counts_from=row.counts_from,
                counts_until=row.counts_until,
                after=row.after_id if in_order else None,
                begun_anew=row.begun_anew,
            )
            for row in requirements
        ),
        penalties=(),
        reaward=template.reaward,
    )
