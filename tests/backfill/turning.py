"""Backfills without workers: turn after turn, here and now."""

from datetime import datetime
from typing import Any

from pipeline import stages
from pipeline.ledgers import backfills, inbox
from pipeline.models import Backfill, Badge, Event, EventStatus, Template
from pipeline.stages.backfill import rules_of
from tests.ledgers.builders import received


def begun(template: Template, since: datetime | None = None) -> Backfill:
    return backfills.begin(template, rules_of(template)[1], since)


def take_turns(row: Backfill, most: int = 1000) -> list[int]:
    """Take so many turns, or all; the badges they changed."""
    changed: list[int] = []
    row.refresh_from_db()
    turn: stages.Turn | None = backfills.turn_of(row)
    while turn and most:
        taken = stages.backfill(turn)
        changed += taken.badges
        turn, most = taken.then, most - 1
    row.refresh_from_db()
    return changed


def run_through(template: Template, **options: Any) -> Backfill:
    row = begun(template, **options)
    take_turns(row)
    return row


def ignored(*events: Any) -> list[Any]:
    """Events that came before anybody asked for them."""
    ids = received(*events)
    inbox.finish(inbox.waiting(ids), EventStatus.IGNORED)
    return ids


def held(template: Template) -> set[tuple[int, str]]:
    """Who has the badge by the rules, and for which value."""
    rows = Badge.objects.filter(template=template, standing="awarded")
    return set(rows.values_list("learner__lms_user_id", "value"))


def statuses() -> list[str]:
    return list(Event.objects.order_by("time", "id").values_list("status", flat=True))
