"""Which event decides a requirement, and when a template is complete.

Events are facts at a time: the newest decides, whatever the order they arrive in. Because `supersedes` is a
strict total order, keeping the winner of every pair gives the same progress for any order and any repetition.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .ruleset import Template


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event says about one requirement of one learner: fulfilled, or reset.

    `time` is the event's own time (aware, any zone), `event` its metadata id.
    """

    time: datetime
    event: UUID
    fulfilled: bool


def supersedes(new: Decision, old: Decision) -> bool:
    """Tell whether `new` takes the place of `old`: newer time, then greater event id, then the reset.

    Strict: a decision never supersedes itself, so a repeated event changes nothing.
    """
    return _rank(new) > _rank(old)


def _rank(decision: Decision) -> tuple[datetime, UUID, bool]:
    return decision.time, decision.event, not decision.fulfilled


def groups(template: Template) -> list[frozenset[int]]:
    """Return the requirement ids of each group: one per letter, and one per requirement without a letter."""
    by_group: dict[str | int, set[int]] = {}
    for requirement in template.requirements:
        group = requirement.id if requirement.group is None else requirement.group
        by_group.setdefault(group, set()).add(requirement.id)
    return [frozenset(ids) for ids in by_group.values()]


def complete(template: Template, fulfilled: Collection[int]) -> bool:
    """Tell whether every group holds a fulfilled requirement; never so for a template without requirements.

    `fulfilled` are requirement ids; those of other templates are ignored.
    """
    return bool(template.requirements) and all(not ids.isdisjoint(fulfilled) for ids in groups(template))


def earned_at(template: Template, decisions: Mapping[int, Decision]) -> datetime:
    """Return the time at which the last group of the template was first fulfilled.

    `decisions` holds the deciding event per requirement id. Raises ValueError for an incomplete template.
    """
    times = {key: decision.time for key, decision in decisions.items() if decision.fulfilled}
    if not complete(template, times):
        raise ValueError(f"template {template.id} is not complete")
    return max(min(times[key] for key in ids if key in times) for ids in groups(template))
