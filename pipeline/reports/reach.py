"""How many learners a badge template concerns: what to know before its rules are changed."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from pipeline.ledgers.observations import HELD
from pipeline.models import Badge, Progress, Standing, Template


@dataclass(frozen=True)
class Reach:
    """Learners whom an event has brought to a template and to whom its badge is not awarded, and those who hold it.

    To hold a badge means: the rules award it, and Credly holds it.
    """

    on_the_way: int
    holding: int


def reach(template: Template) -> Reach:
    """Count the learners.  Two queries."""
    awarded = Badge.objects.filter(
        learner=OuterRef("learner"), template=OuterRef("template"), standing=Standing.AWARDED
    )
    return Reach(
        on_the_way=Progress.objects.filter(~Exists(awarded), template=template).count(),
        holding=Badge.objects.filter(template=template, standing=Standing.AWARDED, credly_state__in=HELD).count(),
    )
