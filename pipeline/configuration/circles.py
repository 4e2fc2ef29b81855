"""Templates that need badges of each other in a circle, so that none is ever awarded."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from pipeline.configuration.conditions import NAMING, TEMPLATE_PATH, Wanted, named
from pipeline.models import RequirementRule
from pipeline.models.configuration import BADGE_EVENTS


def badge_circle(uuid: UUID, wanted: Iterable[Wanted]) -> list[UUID]:
    """The templates of a circle in which each needs a badge of the next and the last of the first, which is this one.

    Empty if there is none. Penalties close no circle: what they take back is earned anew by an event alone.

    Args:
        uuid: the template.
        wanted: its requirements, as somebody wants them; those of all others are taken as stored.
    """
    return circle(uuid, {**stored_needs(), uuid: needs(wanted)})


def needs(wanted: Iterable[Wanted]) -> frozenset[UUID]:
    """The templates whose badges requirements ask for."""
    return frozenset(
        template
        for each in wanted
        if each.event_type in BADGE_EVENTS
        for path, operator, value in each.rules
        if path == TEMPLATE_PATH and operator in NAMING
        for template in _uuids(named(operator, value))
    )


def stored_needs() -> dict[UUID, frozenset[UUID]]:
    """The templates whose badges the stored requirements ask for, by the template that asks."""
    rows = RequirementRule.objects.filter(
        requirement__event_type__in=BADGE_EVENTS, data_path=TEMPLATE_PATH, operator__in=NAMING
    ).values_list("requirement__template__uuid", "operator", "value")
    found: dict[UUID, frozenset[UUID]] = {}
    for asking, operator, value in rows:
        found[asking] = found.get(asking, frozenset()) | frozenset(_uuids(named(operator, value)))
    return found


def circle(start: UUID, needed: Mapping[UUID, Iterable[UUID]]) -> list[UUID]:
    """A shortest way from a template back to itself, each needing a badge of the next; empty if there is none."""
    ways = {start: [start]}
    waiting = [start]
    for template in waiting:
        for each in sorted(needed.get(template, ())):
            if each == start:
                return ways[template]
            if each not in ways:
                ways[each] = [*ways[template], each]
                waiting.append(each)
    return []


def _uuids(texts: Iterable[str]) -> Iterator[UUID]:
    for text in texts:
        try:
            yield UUID(text)
        except ValueError:
            continue
