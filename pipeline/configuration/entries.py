"""What a badge configuration file says, once it is read and checked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.configuration.conditions import Wanted


@dataclass(frozen=True, slots=True)
class OrganizationEntry:
    """A Credly organization; None is what the file leaves as it is.  `api_key` is a key or `env:NAME`."""

    uuid: UUID
    name: str | None
    api_key: str | None

    def __repr__(self) -> str:
        return f"OrganizationEntry(uuid={self.uuid!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One comparison of the value at a key path with an expected value; the values of a list each on a line."""

    data_path: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class RequirementEntry:
    """A requirement; `slug` is the file's `id`, and `group` is empty for a requirement needed by itself.

    `distinct` and `after`, the slug of another requirement, are empty where the file does not ask for them.
    """

    slug: str
    event_type: str
    group: str
    description: str
    count: int
    distinct: str
    within: timedelta | None
    counts_from: datetime | None
    counts_until: datetime | None
    after: str
    rules: tuple[RuleEntry, ...]

    @property
    def wanted(self) -> Wanted:
        """The requirement as the checks take it."""
        return Wanted(
            slug=self.slug,
            event_type=self.event_type,
            rules=_triples(self.rules),
            count=self.count,
            distinct=self.distinct,
            within=self.within,
            counts_from=self.counts_from,
            counts_until=self.counts_until,
            after=self.after,
        )


@dataclass(frozen=True, slots=True)
class PenaltyEntry:
    """A penalty; `requirements` are the slugs of those it takes back."""

    slug: str
    event_type: str
    description: str
    requirements: tuple[str, ...]
    rules: tuple[RuleEntry, ...]

    @property
    def wanted(self) -> Wanted:
        """The penalty as the checks take it."""
        return Wanted(self.slug, self.event_type, _triples(self.rules))


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A badge template with all its requirements and penalties; None is what the file leaves as it is."""

    uuid: UUID
    organization: UUID
    name: str
    active: bool
    reaward: bool
    per: str
    description: str | None
    image_url: str | None
    state: str | None
    requirements: tuple[RequirementEntry, ...]
    penalties: tuple[PenaltyEntry, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A badge configuration file without errors; `warnings` are what somebody should look at all the same."""

    organizations: tuple[OrganizationEntry, ...]
    templates: tuple[TemplateEntry, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What there is already, on which a file builds.

    Of the templates: `allows_duplicates` what a sync told of those that it saw, `needs` whose badges they ask for, `per` that
    of those of which learners have progress or badges.
    """

    organizations: Collection[UUID] = ()
    templates: Collection[UUID] = ()
    allows_duplicates: Mapping[UUID, bool] = field(default_factory=dict)
    needs: Mapping[UUID, Collection[UUID]] = field(default_factory=dict)
    per: Mapping[UUID, str] = field(default_factory=dict)


def _triples(rules: tuple[RuleEntry, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple((rule.data_path, rule.operator, rule.value) for rule in rules)
