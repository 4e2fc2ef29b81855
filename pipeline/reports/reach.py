"""How many learners a badge template concerns: what to know before its rules are changed."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

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
    return Reach(
        on_the_way=_learners(_on_the_way().filter(template=template)),
        holding=_learners(_held().filter(template=template)),
    )


def with_learners_on_the_way(templates: QuerySet[Template]) -> QuerySet[Template]:
    """Those of the templates to whose badge a learner is on the way."""
    return templates.filter(Exists(_on_the_way().filter(template=OuterRef("pk"))))


def with_holders(templates: QuerySet[Template]) -> QuerySet[Template]:
    """Those of the templates whose badge a learner holds."""
    return templates.filter(Exists(_held().filter(template=OuterRef("pk"))))


def _learners(rows: QuerySet[Any]) -> int:
    return rows.values("learner").distinct().count()


def _on_the_way() -> QuerySet[Progress]:
    awarded = Badge.objects.filter(
        learner=OuterRef("learner"), template=OuterRef("template"), value=OuterRef("value"), standing=Standing.AWARDED
    )
    return Progress.objects.filter(~Exists(awarded))


def _held() -> QuerySet[Badge]:
    return Badge.objects.filter(standing=Standing.AWARDED, credly_state__in=HELD)
