"""Occurrences: the events that counted for requirements which more than the newest event decides."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from pipeline import rules
from pipeline.ledgers import bulk
from pipeline.models import Event, Occurrence, Progress

Key = tuple[int, int]
"""The ids of a progress and a requirement."""


class Moment(NamedTuple):
    """What an event does to one progress."""

    event: Event
    match: rules.Match
    progress: Progress


@dataclass
class Noted:
    """All occurrences, by progress and requirement and then by event; `new` are the keys of which these moments changed any."""

    rows: dict[Key, dict[UUID, Occurrence]] = field(default_factory=lambda: defaultdict(dict))
    new: set[Key] = field(default_factory=set)

    def of(self, progress: Progress, template: rules.Template) -> dict[int, list[rules.Occurrence]]:
        """The occurrences of one progress by requirement id, as the rules see them."""
        return {
            requirement.id: [
                rules.Occurrence(row.time, row.event, row.value, row.fulfills)
                for row in self.rows[progress.pk, requirement.id].values()
            ]
            for requirement in template.counted
        }


def note(moments: Sequence[Moment]) -> Noted:
    """Note what events mean to the requirements that need it.  May be repeated: an event counts once.

    The caller holds the learners' locks.  What was noted under another configuration is put right.
    """
    noted = Noted()
    counting = [moment for moment in moments if moment.match.template.counted]
    if not counting:
        return noted
    for row in Occurrence.objects.filter(progress__in={moment.progress.pk for moment in counting}):
        noted.rows[row.progress_id, row.requirement_id][row.event] = row
    created: list[Occurrence] = []
    corrected: list[Occurrence] = []
    for moment in counting:
        for row in _occurrences(moment):
            of_requirement = noted.rows[row.progress_id, row.requirement_id]
            known = of_requirement.get(row.event)
            if known is None:
                created.append(row)
            elif (known.value, known.fulfills) != (row.value, row.fulfills):
                row.pk = known.pk
                corrected.append(row)
            else:
                continue
            of_requirement[row.event] = row
            noted.new.add((row.progress_id, row.requirement_id))
    Occurrence.objects.bulk_create(created)
    Occurrence.objects.bulk_update(corrected, ["value", "fulfills"], batch_size=bulk.UPDATED_AT_ONCE)
    return noted


def _occurrences(moment: Moment) -> list[Occurrence]:
    event = moment.event
    found = rules.occurrences_of(moment.match, event.payload, event.time, event.id)
    return [
        Occurrence(
            progress=moment.progress,
            requirement_id=requirement,
            event=each.event,
            time=each.time,
            value=each.value,
            fulfills=each.fulfills,
        )
        for requirement, each in found.items()
    ]
