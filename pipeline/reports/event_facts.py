"""What a list of events tells of each beside type and status: the values that rules look at, and what became of it."""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.models import Event, EventStatus, PenaltyRule, Requirement, RequirementRule

Paths = Mapping[str, frozenset[str]]


def compared_paths() -> Paths:
    """By event type, the key paths that the rules of any template compare, or by which it tells events apart.  Four queries."""
    found: dict[str, frozenset[str]] = {}
    asked = (
        RequirementRule.objects.values_list("requirement__event_type", "data_path"),
        PenaltyRule.objects.values_list("penalty__event_type", "data_path"),
        Requirement.objects.exclude(distinct="").values_list("event_type", "distinct"),
        Requirement.objects.exclude(template__per="").values_list("event_type", "template__per"),
    )
    for rows in asked:
        for event_type, path in rows.order_by().distinct():
            found[event_type] = found.get(event_type, frozenset()) | {path}
    return found


def compared_values(event: Event, paths: Paths) -> dict[str, str]:
    """The event's values at the paths compared in events of its type, such as which course; those that it has."""
    values = {path: rules.value_at(event.payload, path) for path in sorted(paths.get(event.type, ()), reverse=True)}
    keys = {path: rules.key_of(value) for path, value in values.items()}
    return {path: str(key).lower() if isinstance(key, bool) else key for path, key in keys.items() if key is not None}


def remark(event: Event) -> str:
    """Why an event ended as it did, as far as there is something to say; else empty."""
    if event.error or event.note or event.status != EventStatus.IGNORED:
        return event.error or event.note
    if event.type not in catalogue.badge_event_types():
        return _("nobody subscribed to its type")
    return _("no requirement or penalty of an active template matched it")
