"""A case: all that is known of one learner and one badge, read in a constant number of queries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Prefetch, Q
from django.utils.translation import gettext as _

from pipeline import rules
from pipeline.models import Badge, Fulfillment, Learner, Occurrence, Progress, Requirement, Signal, Template
from pipeline.reports.outline import outline


@dataclass(frozen=True)
class Case:
    """One learner and the badge of one template, for one `value` of its `per`.

    `requirements` are those of now, `decided` the fulfillments by requirement id, `occurrences` what counted for those that
    take more than the newest event, by requirement id; `badges` go by cycle, with their history and signals read.
    """

    template: Template
    value: str
    requirements: Sequence[Requirement]
    decided: Mapping[int, Fulfillment]
    occurrences: Mapping[int, Sequence[rules.Occurrence]]
    badges: Sequence[Badge]

    @property
    def name(self) -> str:
        """The name of the badge, in quotation marks, with what it is for if there may be several."""
        name = f'"{self.template.name}"'
        return _('{name} for "{value}"').format(name=name, value=self.value) if self.value else name

    @property
    def badge(self) -> Badge | None:
        """The badge of the last cycle, which is the one that counts."""
        return self.badges[-1] if self.badges else None

    @property
    def complete(self) -> bool:
        """Whether the template, as it is configured now, is complete for the learner."""
        return rules.complete(self._outline, self._fulfilled())

    @property
    def groups(self) -> int:
        """How many groups there are, of which each needs one fulfilled requirement."""
        return len(rules.groups(self._outline))

    @property
    def missing(self) -> list[list[Requirement]]:
        """The groups that hold no fulfilled requirement, each with its alternatives."""
        fulfilled = self._fulfilled()
        missing = [ids for ids in rules.groups(self._outline) if ids.isdisjoint(fulfilled)]
        return [[row for row in self.requirements if row.pk in ids] for ids in missing]

    @cached_property
    def tallies(self) -> Mapping[int, rules.Tally]:
        """How far the learner is with the requirements that take more than the newest event, by requirement id."""
        return rules.tallies(self._outline, self.occurrences)

    def is_fulfilled(self, requirement: int) -> bool:
        """Whether the requirement with this id is."""
        return requirement in self._fulfilled()

    def _fulfilled(self) -> set[int]:
        return {requirement for requirement, row in self.decided.items() if row.fulfilled}

    @cached_property
    def _outline(self) -> rules.Template:
        return outline(self.template, self.requirements)


OF_PROGRESS = (
    "template__requirements__rules",
    "fulfillments",
    Prefetch("occurrences", Occurrence.objects.of_now()),
    Prefetch("learner__badges", Badge.objects.order_by("cycle")),
)
"""What to prefetch of progress for `case_of`."""


def case_of(progress: Progress) -> Case:
    """The case of a progress record, from what `OF_PROGRESS` prefetched; history and signals are not read."""
    badges = [
        badge
        for badge in progress.learner.badges.all()
        if (badge.template_id, badge.value) == (progress.template_id, progress.value)
    ]
    return _case(progress.template, progress.value, progress, badges)


def cases_of(learner: Learner) -> list[Case]:
    """The learner's cases by template name: where they have progress or a badge.  Nine queries, however many there are."""
    begun = Q(pk__in=learner.progress.values("template")) | Q(pk__in=learner.badges.values("template"))
    templates = Template.objects.filter(begun).select_related("organization").prefetch_related("requirements__rules")
    rows = learner.progress.prefetch_related("fulfillments", Prefetch("occurrences", Occurrence.objects.of_now()))
    progress = {(row.template_id, row.value): row for row in rows}
    badges: defaultdict[tuple[int, str], list[Badge]] = defaultdict(list)
    for badge in _badges(learner):
        badges[badge.template_id, badge.value].append(badge)
    keys = sorted(progress.keys() | badges.keys())
    return [
        _case(template, value, progress.get((template.pk, value)), badges[template.pk, value])
        for template in templates
        for key, value in keys
        if key == template.pk
    ]


def _badges(learner: Learner) -> Sequence[Badge]:
    # A signal's payload holds the learner's name and e-mail, and nobody here asks for them.
    signals = Prefetch("signals", Signal.objects.defer("payload"))
    return list(learner.badges.order_by("cycle").prefetch_related("history", signals))


def _case(template: Template, value: str, progress: Progress | None, badges: Sequence[Badge]) -> Case:
    requirements = list(template.requirements.all())
    ids = {row.pk for row in requirements}
    rows = progress.fulfillments.all() if progress else ()
    return Case(
        template=template,
        value=value,
        requirements=requirements,
        decided={row.requirement_id: row for row in rows if row.requirement_id in ids},
        occurrences=_by_requirement(progress.occurrences.all() if progress else ()),
        badges=badges,
    )


def _by_requirement(rows: Iterable[Occurrence]) -> dict[int, list[rules.Occurrence]]:
    """Stored occurrences as the rules see them, by requirement id."""
    found: defaultdict[int, list[rules.Occurrence]] = defaultdict(list)
    for row in rows:
        found[row.requirement_id].append(rules.Occurrence(row.time, row.event, row.value, row.fulfills, row.alone))
    return dict(found)
