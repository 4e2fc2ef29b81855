"""What is there at the end: asked of Credly, of the LMS side and of the pipeline."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.demo.scenario import Expectation
from pipeline.embedded.system import System

AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        status: what `pipeline_status --json` says.
        ledger: the badges that Credly holds, as the emulator's control interface shows them.
        signals: what the LMS received, in order, repeats dropped.
        failures: how often Credly failed, by kind.
        refused: the badges of the learner without an address, as `badge_status --json` shows them.
    """

    status: Mapping[str, Any]
    ledger: Sequence[Mapping[str, Any]]
    signals: Sequence[Mapping[str, Any]]
    failures: Mapping[str, int]
    refused: Sequence[Mapping[str, Any]]

    def told(self, event_type: str) -> int:
        """How many signals of this type the LMS received."""
        return sum(signal["type"] == event_type for signal in self.signals)

    def held(self, state: str | None = None) -> int:
        """How many badges are in the ledger (in this state)."""
        return sum(state in (None, badge["state"]) for badge in self.ledger)


def collect(system: System, status: Mapping[str, Any], expectation: Expectation) -> Findings:
    """Ask Credly and the LMS side; the system is idle, with this status."""
    learner = json.loads(system.manage("badge_status", "--username", expectation.refused_learner, "--json"))
    failures: Counter[str] = Counter()
    for fault in system.credly("GET", "faults")["faults"]:
        failures[fault["name"]] += fault["hits"]
    return Findings(
        status=status,
        ledger=system.credly("GET", "ledger")["badges"],
        signals=without_repeats(system.received_signals()),
        failures=failures,
        refused=learner["badges"],
    )


def without_repeats(signals: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first of each id, in order: the bus delivers at least once."""
    first: dict[str, Mapping[str, Any]] = {}
    for signal in signals:
        first.setdefault(signal["id"], signal)
    return list(first.values())
