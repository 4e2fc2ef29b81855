"""Requirements that one event does not decide: those that count, span time, or come after another.

What a learner has of them is a function of the set of events that matched, so neither order nor repetition matters.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .ruleset import Requirement, Template
from .standing import Decision


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event that counted for a requirement (`fulfills`) or that a penalty takes it back for.

    `time` is the event's own time (aware, any zone), `event` its metadata id. `value` is what tells it from others that
    count: the text at the requirement's path `distinct`. None stands, for one that counts, for the event itself; for one
    that takes back, for everything that counted before.
    """

    time: datetime
    event: UUID
    value: str | None
    fulfills: bool


Rank = tuple[datetime, UUID]
"""The order of events: by time, then by id."""


def decide(template: Template, occurrences: Mapping[int, Collection[Occurrence]]) -> dict[int, Decision]:
    """Return what decides each of the `counted` requirements of the template that anything happened to.

    A requirement is fulfilled by the event with which the earliest sufficient set of matches was complete. One that is not
    is decided by the newest reset; without any, there is no decision.

    Args:
        template: whose requirements.
        occurrences: by requirement id.  Of one event there is one of each requirement: the reset, if it does both.
    """
    decisions: dict[int, Decision] = {}
    for requirement in template.counted:
        of_requirement = occurrences.get(requirement.id, ())
        standing = _standing(of_requirement)
        if requirement.after is not None:
            first = decisions.get(requirement.after)
            start = first.time if first and first.fulfilled else None
            standing = [each for each in standing if start is not None and each.time > start]
        decided = _completing(standing, requirement)
        taken_back = max((each for each in of_requirement if not each.fulfills), key=_rank, default=None)
        deciding = decided or taken_back
        if deciding is not None:
            decisions[requirement.id] = Decision(deciding.time, deciding.event, fulfilled=decided is not None)
    return decisions


def standing_values(occurrences: Collection[Occurrence]) -> int:
    """Return how many different values count, before any question of time between them."""
    return len({_value(each) for each in _standing(occurrences)})


def _standing(occurrences: Collection[Occurrence]) -> list[Occurrence]:
    """The matches that no reset has taken back, oldest first."""
    resets: dict[str | None, Rank] = {}
    for each in occurrences:
        if not each.fulfills:
            resets[each.value] = max(_rank(each), resets.get(each.value, _rank(each)))
    everything = resets.get(None)
    matches = [
        each
        for each in occurrences
        if each.fulfills
        and (everything is None or _rank(each) > everything)
        and (each.value is None or each.value not in resets or _rank(each) > resets[each.value])
    ]
    return sorted(matches, key=_rank)


def _completing(standing: Iterable[Occurrence], requirement: Requirement) -> Occurrence | None:
    """The first match at which enough different values lie within the span."""
    window: list[Occurrence] = []
    values: Counter[str | UUID] = Counter()
    start = 0
    for each in standing:
        window.append(each)
        values[_value(each)] += 1
        while requirement.within is not None and each.time - window[start].time > requirement.within:
            values[_value(window[start])] -= 1
            if not values[_value(window[start])]:
                del values[_value(window[start])]
            start += 1
        if len(values) >= requirement.count:
            return each
    return None


def _value(occurrence: Occurrence) -> str | UUID:
    return occurrence.event if occurrence.value is None else occurrence.value


def _rank(occurrence: Occurrence) -> Rank:
    return occurrence.time, occurrence.event
