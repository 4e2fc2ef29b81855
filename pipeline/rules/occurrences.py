"""Requirements that one event does not decide: those that count, span time, or come after another.

What a learner has of them is a function of the set of events that matched, so neither order nor repetition matters.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .ruleset import Match, Requirement, Template
from .standing import Decision


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event that counted for a requirement (`fulfills`) or that a penalty takes it back for.

    `time` is the event's own time (aware, any zone), `event` its metadata id. `value` is what tells it from others that
    count: the text at the requirement's path `distinct`. None stands, for one that counts, for the event itself; for one
    that takes back, for everything that counted before.

    With `alone` it is enough by itself: it fulfilled the requirement under the rules of before. Its value may be unknown.
    """

    time: datetime
    event: UUID
    value: str | None
    fulfills: bool
    alone: bool = False


Rank = tuple[datetime, UUID]
"""The order of events: by time, then by id."""

MOST_LOOKED_AT = 2000
"""Of one requirement and one learner: twice what may be asked for.  So what an event costs has a bound."""


def newest(occurrences: Collection[Occurrence]) -> Collection[Occurrence]:
    """Return those that decide: of more than `MOST_LOOKED_AT` what is enough alone, and the newest.

    Which these are hangs on no order of arrival.
    """
    if len(occurrences) <= MOST_LOOKED_AT:
        return occurrences
    return sorted(occurrences, key=lambda each: (each.alone, _rank(each)))[-MOST_LOOKED_AT:]


def decide(template: Template, occurrences: Mapping[int, Collection[Occurrence]]) -> dict[int, Decision]:
    """Return what decides each of the `counted` requirements of the template that anything happened to.

    A requirement is fulfilled by the event with which the earliest sufficient set of matches was complete, or that is enough
    alone. One that is not is decided by the newest reset; without any, there is no decision.

    Args:
        template: whose requirements.
        occurrences: by requirement id.  Of one event there is one of each requirement: the reset, if it does both.
    """
    decisions: dict[int, Decision] = {}
    for requirement in template.counted:
        of_requirement = occurrences.get(requirement.id, ())
        counting = _counting(requirement, of_requirement, decisions)
        enough = next((each for each, values in _windows(counting, requirement) if values >= requirement.count), None)
        decided = min(filter(None, (enough, *_alone(of_requirement))), key=_rank, default=None)
        taken_back = max((each for each in of_requirement if not each.fulfills), key=_rank, default=None)
        deciding = decided or taken_back
        if deciding is not None:
            decisions[requirement.id] = Decision(deciding.time, deciding.event, fulfilled=decided is not None)
    return decisions


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a learner is with a requirement.

    `matches` are the events that count now, oldest first: without those that were taken back, or that are not later than
    what fulfilled the requirement that this one comes after. `reached` is how many different values count together: the
    most that lie within the span.
    """

    matches: tuple[Occurrence, ...]
    reached: int


def tallies(template: Template, occurrences: Mapping[int, Collection[Occurrence]]) -> dict[int, Tally]:
    """Return how far the learner is with each of the `counted` requirements of the template.

    Args:
        template: whose requirements.
        occurrences: as for `decide`.
    """
    decisions = decide(template, occurrences)
    counting = {each.id: _counting(each, occurrences.get(each.id, ()), decisions) for each in template.counted}
    return {
        each.id: Tally(
            matches=tuple(counting[each.id]),
            reached=max((values for _, values in _windows(counting[each.id], each)), default=0),
        )
        for each in template.counted
    }


def occurrences_of(match: Match, payload: Mapping[str, object], time: datetime, event: UUID) -> dict[int, Occurrence]:
    """Return what an event is to the `counted` requirements that it counts for or resets, by requirement id."""
    return {
        requirement.id: Occurrence(time, event, requirement.value_in(payload), requirement.id not in match.resets)
        for requirement in match.template.counted
        if requirement.id in match.fulfills | match.resets
    }


def _counting(
    requirement: Requirement, occurrences: Collection[Occurrence], decisions: Mapping[int, Decision]
) -> list[Occurrence]:
    """The matches that count now, oldest first; `decisions` has that on the requirement that this one comes after."""
    known = [each for each in occurrences if not (each.alone and each.value is None and requirement.distinct)]
    standing = [each for each in _standing(known) if requirement.spans(each.time)]
    if requirement.after is None:
        return standing
    first = decisions.get(requirement.after)
    return [each for each in standing if first is not None and first.fulfilled and each.time > first.time]


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


def _alone(occurrences: Collection[Occurrence]) -> list[Occurrence]:
    """What is enough by itself and was not taken back since.  Of which value that is may be unknown: then any reset does."""
    resets = [each for each in occurrences if not each.fulfills]
    return [
        each
        for each in occurrences
        if each.alone
        and not any(
            _rank(reset) > _rank(each) and (reset.value in (None, each.value) or each.value is None) for reset in resets
        )
    ]


def _windows(matches: Iterable[Occurrence], requirement: Requirement) -> Iterator[tuple[Occurrence, int]]:
    """Each match with the number of different values in the span that ends with it."""
    window: list[Occurrence] = []
    values: Counter[str | UUID] = Counter()
    start = 0
    for each in matches:
        window.append(each)
        values[_value(each)] += 1
        while requirement.within is not None and each.time - window[start].time > requirement.within:
            values[_value(window[start])] -= 1
            if not values[_value(window[start])]:
                del values[_value(window[start])]
            start += 1
        yield each, len(values)


def _value(occurrence: Occurrence) -> str | UUID:
    return occurrence.event if occurrence.value is None else occurrence.value


def _rank(occurrence: Occurrence) -> Rank:
    return occurrence.time, occurrence.event
