"""Occurrences: the events that counted for requirements which more than the newest event decides."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db.models import Q

from pipeline import rules
from pipeline.models import Occurrence


def of(progress: Mapping[int, rules.Template]) -> Mapping[int, rules.Occurrences]:
    """What counts for these progresses under the rules that the caller has: by their ids, and then by requirement id.

    Args:
        progress: by its id the template, with its rules.
    """
    if not progress:
        return {}
    begun_anew = {each.id: each.begun_anew for template in progress.values() for each in template.counted}
    found: defaultdict[int, defaultdict[int, list[rules.Occurrence]]] = defaultdict(lambda: defaultdict(list))
    columns = ("begun_anew", "progress", "requirement", "time", "event", "value", "fulfills", "alone")
    rows = Occurrence.objects.filter(progress__in=list(progress)).values_list(*columns)
    for number, owner, requirement, time, event, value, fulfills, alone in rows:
        if number == begun_anew.get(requirement):
            found[owner][requirement].append(rules.Occurrence(time, event, value, fulfills, alone))
    return found


class Change(NamedTuple):
    """What an event made of the occurrences of one progress in a badge of the template."""

    progress: int
    template: rules.Template
    before: rules.Occurrences
    after: rules.Occurrences


def store(changes: Iterable[Change]) -> None:
    """Make the stored occurrences those that are there after.  May be repeated with others that are stored then."""
    gone = Q()
    created: list[Occurrence] = []
    for change in changes:
        for requirement in change.template.counted:
            before, after = (each.get(requirement.id, ()) for each in (change.before, change.after))
            if after is before:
                continue
            new, old = set(after).difference(before), set(before).difference(after)
            if old:
                gone |= _rows(change.progress, requirement, old)
            created += [_row(change.progress, requirement, each) for each in new]
    if gone:
        Occurrence.objects.filter(gone).delete()
    Occurrence.objects.bulk_create(created)


def _rows(progress: int, requirement: rules.Requirement, occurrences: Iterable[rules.Occurrence]) -> Q:
    events = {each.event for each in occurrences}
    return Q(progress=progress, requirement=requirement.id, begun_anew=requirement.begun_anew, event__in=events)


def _row(progress: int, requirement: rules.Requirement, occurrence: rules.Occurrence) -> Occurrence:
    return Occurrence(
        progress_id=progress,
        requirement_id=requirement.id,
        begun_anew=requirement.begun_anew,
        event=occurrence.event,
        time=occurrence.time,
        value=occurrence.value,
        fulfills=occurrence.fulfills,
        alone=occurrence.alone,
    )
