"""A case: all that is known of one learner and one template, read in a constant number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, Q

from pipeline import rules
from pipeline.models import Badge, Fulfillment, Learner, Progress, Requirement, Signal, Template


@dataclass(frozen=True)
class Case:
    """One learner and one template.

    `requirements` are those of now, `decided` the fulfillments by requirement id, `badges` go by cycle, with their
    history and signals read.
    """

    template: Template
    requirements: Sequence[Requirement]
    decided: Mapping[int, Fulfillment]
    badges: Sequence[Badge]

    @property
    def badge(self) -> Badge | None:
        """The badge of the last cycle, which is the one that counts."""
        return self.badges[-1] if self.badges else None

    @property
    def complete(self) -> bool:
        """Whether the template, as it is configured now, is complete for the learner."""
        return rules.complete(self._compiled(), self._fulfilled())

    @property
    def groups(self) -> int:
        """How many groups there are, of which each needs one fulfilled requirement."""
        return len(rules.groups(self._compiled()))

    @property
    def missing(self) -> list[list[Requirement]]:
        """The groups that hold no fulfilled requirement, each with its alternatives."""
        fulfilled = self._fulfilled()
        missing = [ids for ids in rules.groups(self._compiled()) if ids.isdisjoint(fulfilled)]
        return [[row for row in self.requirements if row.pk in ids] for ids in missing]

    def _fulfilled(self) -> set[int]:
        return {requirement for requirement, row in self.decided.items() if row.fulfilled}

    def _compiled(self) -> rules.Template:
        """What the rules need to know of the template to tell whether it is complete."""
        return rules.Template(
            id=self.template.pk,
            requirements=tuple(
                rules.Requirement(row.pk, self.template.pk, row.event_type, row.group or None, ())
                for row in self.requirements
            ),
            penalties=(),
            reaward=self.template.reaward,
        )


OF_PROGRESS = (
    "template__requirements__rules",
    "fulfillments",
    Prefetch("learner__badges", Badge.objects.order_by("cycle")),
)
"""What to prefetch of progress for `case_of`."""


def case_of(progress: Progress) -> Case:
    """The case of a progress record, from what `OF_PROGRESS` prefetched; history and signals are not read."""
    decided = {row.requirement_id: row for row in progress.fulfillments.all()}
    badges = [badge for badge in progress.learner.badges.all() if badge.template_id == progress.template_id]
    return _case(progress.template, decided, badges)


def cases_of(learner: Learner) -> list[Case]:
    """The learner's cases by template name: where they have progress or a badge.  Seven queries, however many there are."""
    begun = Q(pk__in=learner.progress.values("template")) | Q(pk__in=learner.badges.values("template"))
    templates = Template.objects.filter(begun).select_related("organization").prefetch_related("requirements__rules")
    decided = {row.requirement_id: row for row in Fulfillment.objects.filter(progress__learner=learner)}
    badges: dict[int, list[Badge]] = {}
    for badge in _badges(learner):
        badges.setdefault(badge.template_id, []).append(badge)
    return [_case(template, decided, badges.get(template.pk, [])) for template in templates]


def _badges(learner: Learner) -> Sequence[Badge]:
    # A signal's payload holds the learner's name and e-mail, and nobody here asks for them.
    signals = Prefetch("signals", Signal.objects.defer("payload"))
    return list(learner.badges.order_by("cycle").prefetch_related("history", signals))


def _case(template: Template, decided: Mapping[int, Fulfillment], badges: Sequence[Badge]) -> Case:
    requirements = list(template.requirements.all())
    mine = {row.pk: decided[row.pk] for row in requirements if row.pk in decided}
    return Case(template, requirements, mine, badges)
