"""Progress: what a learner has of one badge, and what an event makes of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from .occurrences import Occurrence, decide, newest, occurrences_of
from .ruleset import Match
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

        A requirement is tested first, then penalties.  What was fulfilled while its rule was another, and is not by what
        counts now, is decided by nothing.

        Args:
            match: what the event does to the badge's template.
            payload: the event's.
            time: the event's own.
            event: its metadata id.
        """
        counted = {requirement.id for requirement in match.template.counted}
        decisions = dict(self.decisions)
        for fulfilled, requirements in ((True, match.fulfills), (False, match.resets)):
            for requirement in requirements - counted:
                decision, old = Decision(time, event, fulfilled), decisions.get(requirement)
                if old is None or supersedes(decision, old):
                    decisions[requirement] = decision
        if not counted:
            return Progress(decisions, self.occurrences)
        occurrences = dict(self.occurrences)
        for requirement, occurrence in occurrences_of(match, payload, time, event).items():
            occurrences[requirement] = _with(occurrences.get(requirement, ()), occurrence)
        decided = decide(match.template, occurrences)
        kept = {each: old for each, old in decisions.items() if each not in counted or not old.fulfilled}
        return Progress(kept | decided, occurrences)

    def changed(self, after: "Progress") -> set[int]:
        """The requirements that another event decides afterwards, or none."""
        known = self.decisions.keys() | after.decisions.keys()
        return {each for each in known if self.decisions.get(each) != after.decisions.get(each)}

    def is_reset(self, after: "Progress", match: Match) -> bool:
        """Tell whether an event that matched so took anything back.  Without a penalty it was the rule that was changed."""
        return bool(match.resets) and not self.changed(after) <= set(after.fulfilled)


def _with(occurrences: Collection[Occurrence], occurrence: Occurrence) -> Collection[Occurrence]:
    if occurrence in occurrences:
        return occurrences
    others = [each for each in occurrences if each.event != occurrence.event]
    return newest([*others, occurrence])
