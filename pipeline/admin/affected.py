"""What people are told before and after they change a template that is active."""

from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pipeline.admin.backfill import offered
from pipeline.models import Requirement, Template
from pipeline.reports.reach import reach


def learners_concerned(template: Template) -> str:
    """How many learners are on the way to the badge, and how many hold it, as a sentence."""
    counted = reach(template)
    on_the_way = ngettext(
        "%(number)s learner is on the way to this badge",
        "%(number)s learners are on the way to this badge",
        counted.on_the_way,
    ) % {"number": counted.on_the_way}
    holding = ngettext("%(number)s learner holds it", "%(number)s learners hold it", counted.holding) % {
        "number": counted.holding
    }
    return _("%(on_the_way)s, %(holding)s.") % {"on_the_way": on_the_way, "holding": holding}


def before_a_change(template: Template) -> str:
    """The warning on the pages of an active template, its requirements and penalties."""
    return " ".join(
        (
            _("“%(name)s” is active.") % {"name": template.name},
            learners_concerned(template),
            _(
                "A changed rule counts for events from now on. Who holds the badge keeps it, also where a requirement is "
                "added, until a penalty takes back a requirement while something is missing. Removing a requirement removes "
                "what learners achieved in it. What a requirement has counted so far is forgotten when its event type, its "
                "rules or “Of different” change, or when it counts no more."
            ),
        )
    )


def after_a_change(template: Template) -> str:
    """What to say when an active template, one of its requirements or one of its penalties was changed."""
    changed = _("The change of “%(name)s” counts for events from now on.") % {"name": template.name}
    return offered(f"{changed} {learners_concerned(template)}", template)


def forgotten(learners: Mapping[int, int]) -> Iterator[str]:
    """What to say of requirements that count anew: for how many learners what they had counted is forgotten.

    Args:
        learners: that number by requirement id.
    """
    for row in Requirement.objects.filter(pk__in=[pk for pk, number in learners.items() if number]):
        text = ngettext(
            "“%(id)s” counts anew: what it had counted for %(number)s learner is forgotten.",
            "“%(id)s” counts anew: what it had counted for %(number)s learners is forgotten.",
            learners[row.pk],
        )
        yield text % {"id": row.slug, "number": learners[row.pk]}
