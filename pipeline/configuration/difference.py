"""What an import or a sync changes, in words for a person: one `Change` per row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import Model

from pipeline.configuration.spans import written
from pipeline.models import Organization, Template

Sign = Literal["+", "~", "-", " "]
ADDED: Sign = "+"
CHANGED: Sign = "~"
REMOVED: Sign = "-"
CONTEXT: Sign = " "
"""A row that stays as it is, named because something below it changes."""

NESTED = "  "
_SHOWN_CHARACTERS = 60
_CALLED = {"counts_from": "from", "counts_until": "until"}
"""The file's word for a field, where it is another."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the difference: what happens to a row, and how; `nested` if the row belongs to a template.

    `counts_anew` is the UUID of an active template for which events of before may count otherwise from now on.
    """

    sign: Sign
    subject: str
    detail: str = ""
    nested: bool = False
    counts_anew: UUID | None = None

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{NESTED if self.nested else ''}{self.sign} {self.subject}{detail}"


def counted(changes: list[Change]) -> str:
    """The number of changes of each sort, such as "1 added, 2 changed"; empty when nothing changes."""
    words = {ADDED: "added", CHANGED: "changed", REMOVED: "removed"}
    counts = {word: sum(change.sign == sign for change in changes) for sign, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def shown(value: Any) -> str:
    """A value of a row on one line: a word, a time or a length of time as it is, other texts quoted and shortened."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case timedelta():
            return written(value)
        case datetime():
            return iso(value)
    text = str(value)
    if not text:
        return "none"
    if text.isascii() and text.replace("-", "").isalnum():
        return text
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return json.dumps(short, ensure_ascii=False)


def iso(time: datetime) -> str:
    """A time as the configuration file has it, in UTC."""
    return time.astimezone(UTC).isoformat()


def named(row: Organization | Template) -> str:
    """A row by its kind, its name if it has one, and its uuid."""
    kind = "organization" if isinstance(row, Organization) else "template"
    return f'{kind} "{row.name}" ({row.uuid})' if row.name else f"{kind} {row.uuid}"


def update(row: Model, wanted: Mapping[str, Any]) -> str:
    """Write the fields that differ, and say which; empty when none does.  May be repeated."""
    stored = {field: getattr(row, field) for field in wanted}
    differing = [field for field in wanted if stored[field] != wanted[field]]
    for field in differing:
        setattr(row, field, wanted[field])
    if differing:
        row.save(update_fields=differing)
    return ", ".join(_field_change(field, stored[field], wanted[field]) for field in differing)


def from_to(field: str, stored: str, wanted: str) -> str:
    """How a field changes."""
    return f"{field} {stored} -> {wanted}"


def _field_change(field: str, stored: Any, wanted: Any) -> str:
    return (
        "api_key: changed" if field == "api_key" else from_to(_CALLED.get(field, field), shown(stored), shown(wanted))
    )
