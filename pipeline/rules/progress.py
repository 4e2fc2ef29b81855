"""Progress: what a learner has of one badge, and what an event makes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from .occurrences import Occurrence, decide, newest, occurrences_of
from .ruleset import Match, Template
from .standing import Decision, supersedes

Occurrences = Mapping[int, Collection[Occurrence]]
"""By requirement id."""


@dataclass(frozen=True, slots=True)
class Progress:
    """By requirement id: the event that decides it, and the events that count for it, if the newest alone does not decide.

    A requirement that nothing decides is left out, as is one for which nothing counts.
    """

    decisions: Mapping[int, Decision] = field(default_factory=dict)
    occurrences: Occurrences = field(default_factory=dict)

    @property
    def fulfilled(self) -> list[int]:
        """The ids of the requirements that are."""
        return [requirement for requirement, decision in self.decisions.items() if decision.fulfilled]

    def after(self, match: Match, payload: Mapping[str, object], time: datetime, event: UUID) -> "Progress":
        """Return the progress once an event has taken part, in whatever order; once more, and it stays the same.

        A requirement is tested first, then penalties.  What was decided under other rules stands until an event that is
        newer decides otherwise.

        Args:
            match: what the event does to the badge's template.
            payload: the event's.
            time: the event's own.
            event: its metadata id.
        """
        template = match.template
        counted = {requirement.id for requirement in template.counted}
        decisions = dict(self.decisions)
        for fulfilled, requirements in ((True, match.fulfills), (False, match.resets)):
            for requirement in requirements - counted:
                decision, old = Decision(time, event, fulfilled), decisions.get(requirement)
                if old is None or supersedes(decision, old):
                    decisions[requirement] = decision
        if not counted:
            return Progress(decisions, self.occurrences)
        occurrences = self._with_what_was_decided(template)
        for requirement, occurrence in occurrences_of(match, payload, time, event).items():
            occurrences[requirement] = _with(occurrences.get(requirement, ()), occurrence)
        of_newest = {each: decision for each, decision in decisions.items() if each not in counted}
        of_counted = decide(template, occurrences)
        if not match.resets and (pushed_out := self._pushed_out(counted, of_counted)):
            for requirement in pushed_out:
                carried = _carried(self.decisions[requirement], value=None)
                occurrences[requirement] = _with(occurrences.get(requirement, ()), carried)
            of_counted = decide(template, occurrences)
        return Progress(of_newest | of_counted, occurrences)

    def changed(self, after: "Progress") -> set[int]:
        """The requirements that another event decides afterwards; or none, where what they come after was taken back."""
        known = self.decisions.keys() | after.decisions.keys()
        return {each for each in known if self.decisions.get(each) != after.decisions.get(each)}

    def is_reset(self, after: "Progress") -> bool:
        """Tell whether what happened took anything back."""
        return not self.changed(after) <= set(after.fulfilled)

    def _pushed_out(self, counted: Collection[int], decided: Mapping[int, Decision]) -> list[int]:
        """What was fulfilled and is not any more, though nothing was taken back: newer events took the place of others."""
        fulfilled = {each for each, decision in decided.items() if decision.fulfilled}
        return [each for each in self.fulfilled if each in counted and each not in fulfilled]

    def _with_what_was_decided(self, template: Template) -> dict[int, Collection[Occurrence]]:
        """The occurrences, and what decided a requirement while its rules were others, where these do not say it."""
        occurrences = dict(self.occurrences)
        counted = [each.id for each in template.counted if each.id in self.decisions]
        decided = decide(template, occurrences) if counted else {}
        for requirement in counted:
            old, new, known = self.decisions[requirement], decided.get(requirement), occurrences.get(requirement, ())
            is_noted = any(each.event == old.event for each in known)
            if new is None or (old.fulfilled and not new.fulfilled) or not is_noted:
                value = next((each.value for each in known if each.event == old.event), None)
                occurrences[requirement] = _with(known, _carried(old, value))
        return occurrences


def _carried(decision: Decision, value: str | None) -> Occurrence:
    """A decision that what counts does not say, as an occurrence that says it."""
    return Occurrence(decision.time, decision.event, value, fulfills=decision.fulfilled, alone=decision.fulfilled)


def _with(occurrences: Collection[Occurrence], occurrence: Occurrence) -> Collection[Occurrence]:
    if occurrence in occurrences:
        return occurrences
    others = [each for each in occurrences if each.event != occurrence.event]
    was_alone = any(each.alone and each.event == occurrence.event for each in occurrences)
    return newest([*others, replace(occurrence, alone=occurrence.fulfills and (occurrence.alone or was_alone))])
