"""A site that awards badges, on a running system: what tests say about it, and what they see from outside."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import yaml

from pipeline.embedded.system import System
from pipeline.lms.events import CCX_PASSING, PASSING, LmsEvent, LmsLearner, passing_event

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_numbers = count(1)


def requirement(name: str, *rules: tuple[str, str, str], group: str | None = None, ccx: bool = False) -> dict[str, Any]:
    """A requirement as a badge file has it."""
    return {"id": name, "event_type": CCX_PASSING if ccx else PASSING, "group": group, "rules": _rules(rules)}


def penalty(name: str, takes_back: list[str], *rules: tuple[str, str, str]) -> dict[str, Any]:
    return {"id": name, "event_type": PASSING, "requirements": takes_back, "rules": _rules(rules)}


def _rules(rules: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"data_path": path, "operator": operator, "value": value} for path, operator, value in rules]


def learner(name: str = "Dana Moe") -> LmsLearner:
    number = next(_numbers)
    return LmsLearner(id=number, username=f"learner{number}", email=f"learner{number}@learners.example", name=name)


@dataclass
class Academy:
    """One organization at the emulated Credly and its templates here."""

    system: System
    organization: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: str = field(default_factory=lambda: f"key-{uuid.uuid4()}")
    _clock: datetime = START

    def __post_init__(self) -> None:
        self.system.credly("POST", "organizations", {"id": self.organization, "name": "Academy"})
        self.system.credly("POST", "tokens", {"organization": self.organization, "token": self.key})

    def template(
        self, requirements: list[dict[str, Any]], penalties: list[dict[str, Any]] | None = None, **options: Any
    ) -> str:
        """Make a template at Credly, configure it here by a badge file, and return its id."""
        template = str(uuid.uuid4())
        allow_duplicates = options.pop("allow_duplicates", False)
        self.system.credly(
            "POST",
            "templates",
            {
                "id": template,
                "organization": self.organization,
                "name": "Badge",
                "allow_duplicate_badges": allow_duplicates,
            },
        )
        content = {
            "version": 1,
            "organizations": [{"uuid": self.organization, "name": "Academy", "api_key": self.key}],
            "templates": [
                {
                    "uuid": template,
                    "organization": self.organization,
                    "name": "Badge",
                    "active": True,
                    "requirements": requirements,
                    "penalties": penalties or [],
                    **options,
                }
            ],
        }
        file = self.system.folder / f"badges-{template}.yaml"
        file.write_text(yaml.safe_dump(content))
        self.system.manage("import_badges", str(file))
        return template

    def passes(self, who: LmsLearner, course: str) -> LmsEvent:
        return self._event(who, course, True)

    def fails(self, who: LmsLearner, course: str) -> LmsEvent:
        return self._event(who, course, False)

    def _event(self, who: LmsLearner, course: str, passing: bool) -> LmsEvent:
        """An event a minute after the one before."""
        self._clock += timedelta(minutes=1)
        return passing_event(who, course, passing, self._clock)

    def play(self, *events: LmsEvent) -> None:
        """Have the LMS publish events."""
        file = self.system.folder / f"events-{uuid.uuid4()}.jsonl"
        lines = [
            json.dumps(
                {"id": str(event.id), "time": event.time.isoformat(), "type": event.type, "payload": event.payload}
            )
            for event in events
        ]
        file.write_text("\n".join(lines))
        self.system.manage("produce_events", "--file", str(file))

    def play_and_wait(self, *events: LmsEvent, seconds: float = 90) -> None:
        self.play(*events)
        self.system.wait_until_idle(seconds)

    def badges_at_credly(self, template: str, who: LmsLearner | None = None) -> list[dict[str, Any]]:
        """What Credly ever issued of a template, by its own ledger."""
        return [
            badge
            for badge in self.system.credly("GET", "ledger")["badges"]
            if badge["template"] == template and (who is None or badge["issuer_earner_id"] == str(who.id))
        ]

    def holders(self, template: str) -> list[str]:
        """Usernames' numbers of those who hold a live badge at Credly."""
        live = ("pending", "accepted")
        return sorted(b["issuer_earner_id"] for b in self.badges_at_credly(template) if b["state"] in live)
