"""What the learners of the fault suite can earn: one organization, and templates with every kind of group and penalty.

Credly's own net is off: the templates allow duplicates, so that a second call to issue would show as a second badge.  And
each may be awarded again, so that no order of the events is a matter of luck.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline import rules
from pipeline.embedded.system import System
from pipeline.lms.events import PASSING
from tests.system.academy import penalty, requirement

PASSED, FAILED = ("is_passing", "eq", "true"), ("is_passing", "eq", "false")
LETTERS = "ABC"
"""The courses; a learner who passes one of another school earns nothing here."""


@dataclass
class School:
    """The organization and its templates, at the emulated Credly and here."""

    system: System
    allow_duplicates: bool = True
    organization: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: str = field(default_factory=lambda: f"key-{uuid.uuid4()}")
    templates: dict[str, rules.Template] = field(default_factory=dict)
    """By uuid, as the oracle wants them."""
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def course(self, letter: str) -> str:
        """The key of a course."""
        return f"course-v1:Faults+{letter}{self.organization[:8]}+2026"

    def open(self) -> None:
        """Make all at Credly, and import it here."""
        self.system.credly("POST", "organizations", {"id": self.organization, "name": "School"})
        self.system.credly("POST", "tokens", {"organization": self.organization, "token": self.key})
        for number, (requirements, penalties) in enumerate(self._configurations(), start=1):
            template = {"id": str(uuid.uuid4()), "organization": self.organization, "name": f"Badge {number}"}
            self.system.credly("POST", "templates", {**template, "allow_duplicate_badges": self.allow_duplicates})
            self.templates[template["id"]] = _for_the_oracle(number, requirements, penalties)
            self._rows.append(
                {
                    "uuid": template["id"],
                    "organization": self.organization,
                    "name": template["name"],
                    "active": True,
                    "reaward": True,
                    "requirements": requirements,
                    "penalties": penalties,
                }
            )
        self.configure()

    def configure(self) -> None:
        """Import all here, with the key as it is now.  May be repeated."""
        organization = {"uuid": self.organization, "name": "School", "api_key": self.key}
        file = self.system.folder / f"badges-{self.organization}.yaml"
        file.write_text(yaml.safe_dump({"version": 1, "organizations": [organization], "templates": self._rows}))
        self.system.manage("import_badges", str(file))

    def _configurations(self) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
        """Requirements and penalties of each template: course A; and A with one of B and C."""
        return [
            ([self._passed("A")], [self._failed("A")]),
            (
                [self._passed("A"), self._passed("B", "X"), self._passed("C", "X")],
                [self._failed("B"), self._failed("C")],
            ),
        ]

    def _passed(self, letter: str, group: str | None = None) -> dict[str, Any]:
        return requirement(f"pass-{letter}", PASSED, ("course.course_key", "eq", self.course(letter)), group=group)

    def _failed(self, letter: str) -> dict[str, Any]:
        return penalty(f"fail-{letter}", [f"pass-{letter}"], FAILED, ("course.course_key", "eq", self.course(letter)))


def _for_the_oracle(number: int, requirements: list[dict[str, Any]], penalties: list[dict[str, Any]]) -> rules.Template:
    ids = {row["id"]: number * 10 + place for place, row in enumerate(requirements)}
    asked = [rules.Requirement(ids[row["id"]], number, PASSING, row["group"], _rules(row)) for row in requirements]
    undone = [
        rules.Penalty(
            number * 10 + place, number, PASSING, frozenset(ids[one] for one in row["requirements"]), _rules(row)
        )
        for place, row in enumerate(penalties)
    ]
    return rules.Template(number, tuple(asked), tuple(undone), reaward=True)


def _rules(row: dict[str, Any]) -> tuple[rules.Rule, ...]:
    return tuple(rules.Rule(rule["data_path"], rule["operator"], rule["value"]) for rule in row["rules"])
