"""What a take-over did, or would do, in words: for the operator, without names, addresses and keys."""

import enum
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.configuration.difference import Change

SHOWN = 20
"""Keys of one sort that a line of text names."""


class Section(enum.Enum):
    """What an entry is about."""

    LEFT_OUT = "Not taken over"
    ASKED = "Credly will be asked, and told if need be"
    NOTED = "Taken over, and worth a look"
    DIFFERS = "Differs here, and stays as it is here"
    TEMPLATES = "Templates to look at"


class Written(enum.Enum):
    """Rows of the ledgers that are written, in words; "brought up to date" are those of an earlier take-over."""

    LEARNERS = "learners"
    PROGRESS = "progress records"
    FULFILLMENTS = "fulfillments"
    BADGES = "badges"
    RENEWED_LEARNERS = "learners brought up to date"
    RENEWED_FULFILLMENTS = "fulfillments brought up to date"
    TAKEN_BACK = "fulfillments taken back"
    RENEWED_BADGES = "badges brought up to date"
    ADOPTED = "badges here that got their id at Credly"
    LOOKED_UP = "badges here to be looked up first"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the peer's (`label`, `pk`), or a badge, template (UUID) or learner (key) of ours, and what is to be said.

    `name` is a template's; `advice` says what to do, empty for nothing.
    """

    section: Section
    label: str
    pk: int | str
    reason: str
    advice: str = ""
    name: str = ""


@dataclass
class Report:
    """What was written (`changes` of the configuration, `written` rows of the ledgers) and what is to be said."""

    changes: list[Change] = field(default_factory=list)
    written: Counter[Written] = field(default_factory=Counter)
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether there was nothing to write."""
        return not self.changes and not self.written.total()

    def say(self, section: Section, label: str, pk: int | str, reason: str, advice: str = "", name: str = "") -> None:
        """Add an entry."""
        self.entries.append(Entry(section, label, pk, reason, advice, name))

    def lines(self) -> Iterator[str]:
        """The report as text: what is said alike of several rows is said once."""
        yield from map(str, self.changes)
        for section in Section:
            alike: defaultdict[tuple[str, str, str, str], list[int | str]] = defaultdict(list)
            for entry in self.entries:
                if entry.section is section:
                    alike[entry.label, entry.name, entry.reason, entry.advice].append(entry.pk)
            if alike:
                yield f"{section.value}:"
            for (label, name, reason, advice), keys in alike.items():
                quoted = f' "{name}"' if name else ""
                yield f"  {label} {_listed(keys)}{quoted}: {' '.join(filter(None, (reason, advice)))}"

    def summary(self, *, dry_run: bool) -> str:
        """What was written, in one sentence."""
        if self.is_done:
            return "Nothing to do: whatever can be taken over is here."
        configured = f"{len(self.changes)} of configuration" if self.changes else ""
        counted = [f"{self.written[what]:,} {what.value}" for what in Written if self.written[what]]
        return f"{'Would be written' if dry_run else 'Written'}: {', '.join(filter(None, [configured, *counted]))}."

    def as_data(self, *, dry_run: bool) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "dry_run": dry_run,
            "nothing_to_do": self.is_done,
            "configuration": [
                {"sign": change.sign, "subject": change.subject, "detail": change.detail} for change in self.changes
            ],
            "written": {what.name.lower(): self.written[what] for what in Written},
            **{
                section.name.lower(): [
                    {
                        "model": entry.label,
                        "pk": entry.pk,
                        "name": entry.name or None,
                        "reason": entry.reason,
                        "advice": entry.advice or None,
                    }
                    for entry in self.entries
                    if entry.section is section
                ]
                for section in Section
            },
        }


def _listed(keys: list[int | str]) -> str:
    shown = ", ".join(map(str, keys[:SHOWN]))
    return f"{shown} and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else shown
