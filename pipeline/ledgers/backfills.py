"""Backfills: begun, gone on with, stopped, done."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from pipeline.ledgers import kept
from pipeline.models import Backfill, BackfillState, Template

NUDGED_AGAIN_AFTER = timedelta(seconds=30)
"""A turn that nobody took within this was lost on its way.  As long as a task may run."""

LOOKS_AGAIN_AFTER = timedelta(seconds=1)
"""When a backfill that lets others go first looks again; housekeeping comes by every few seconds."""


class RunsOtherwise(Exception):
    """A backfill of this template is running that goes back to another time."""


class Rules(NamedTuple):
    """For what rules a backfill runs: the template's by their fingerprint, and the version of the configuration."""

    fingerprint: str
    stamp: UUID | None


class Turn(NamedTuple):
    """What a message to the workers says: whose turn, and which one."""

    backfill: int
    number: int


def begin(template: Template, rule: Rules, since: datetime | None, by: str = "") -> Backfill:
    """Begin the template's backfill, or go on with it.  May be repeated: one that runs for these rules is left alone.

    One that was stopped goes on where it was, if it goes back to the same time and nothing was configured since.

    Raises:
        RunsOtherwise: one is running that goes back to another time.
    """
    now = timezone.now()
    unbegun = {"state": BackfillState.STOPPED, "until": now, "started_at": now}
    row, _ = Backfill.objects.get_or_create(template=template, defaults=unbegun)
    if row.state == BackfillState.RUNNING and row.since != since:
        raise RunsOtherwise
    if row.state == BackfillState.RUNNING and row.rule == rule.fingerprint:
        return row
    as_it_was = (row.since, row.stamp, row.rule) == (since, rule.stamp, rule.fingerprint)
    if row.state == BackfillState.STOPPED and as_it_was:
        begun = _next(row, state=BackfillState.RUNNING, ended_at=None, note="", due_at=now)
    else:
        begun = _next(row, **_from_the_start(rule, now), since=since, started_by=by)
    if not begun:  # somebody else was quicker
        return begin(template, rule, since, by)
    row.refresh_from_db()
    return row


def _from_the_start(rule: Rules, now: datetime) -> dict[str, object]:
    return {
        "state": BackfillState.RUNNING,
        "rule": rule.fingerprint,
        "stamp": rule.stamp,
        "until": now,
        "started_at": now,
        "ended_at": None,
        "due_at": now,
        "note": "",
        "position": 0,
        "total": None,
        **dict.fromkeys(("looked_at", "ran", "awarded", "revoked"), 0),
    }


def _next(row: Backfill, **values: object) -> bool:
    """The next turn, unless somebody else was quicker."""
    same = Backfill.objects.filter(pk=row.pk, turn=row.turn, state=row.state)
    return bool(same.update(turn=F("turn") + 1, **values))


def whose(turn: Turn) -> Backfill | None:
    """The backfill whose turn it is; None if another took this turn, or it does not run."""
    return _of(turn).select_related("template").first()


def _of(turn: Turn) -> QuerySet[Backfill]:
    return Backfill.objects.filter(pk=turn.backfill, turn=turn.number, state=BackfillState.RUNNING)


def turn_of(row: Backfill) -> Turn:
    """The turn that is to be taken next."""
    return Turn(row.pk, row.turn)


def span_of(row: Backfill) -> kept.Span:
    """The events that it goes through."""
    return kept.Span(row.since, row.until)


def begin_again(row: Backfill, rule: Rules) -> bool:
    """The rules were changed: begin anew.  Says whether nobody else was quicker."""
    return _next(row, **_from_the_start(rule, timezone.now()))


def advance(row: Backfill, rule: Rules, position: int, looked_at: int, ran: int) -> bool:
    """These events are taken, and the next turn is due should this one get lost.  Says whether nobody else was quicker.

    Call it in the transaction that puts the events back.
    """
    return _next(
        row,
        stamp=rule.stamp,
        position=position,
        looked_at=F("looked_at") + looked_at,
        ran=F("ran") + ran,
        note="",
        due_at=timezone.now() + NUDGED_AGAIN_AFTER,
    )


def note_total(row: Backfill, total: int) -> None:
    """So many events are to be looked at.  May be repeated."""
    _of(turn_of(row)).update(total=total)


def note_badges(row: Backfill, awarded: int, revoked: int) -> None:
    """The events of a turn changed so many badges."""
    if awarded or revoked:
        Backfill.objects.filter(pk=row.pk).update(awarded=F("awarded") + awarded, revoked=F("revoked") + revoked)


def hold(row: Backfill, note: str) -> None:
    """Others go first.  May be repeated."""
    _of(turn_of(row)).update(due_at=timezone.now() + LOOKS_AGAIN_AFTER, note=note)


def finish(row: Backfill) -> None:
    """All learners are done.  May be repeated."""
    _next(row, state=BackfillState.DONE, due_at=None, ended_at=timezone.now(), note="")


def stop(row: Backfill, note: str = "") -> bool:
    """It goes no further, for now.  Says whether it was running.  May be repeated."""
    running = Backfill.objects.filter(pk=row.pk, state=BackfillState.RUNNING)
    return bool(
        running.update(state=BackfillState.STOPPED, turn=F("turn") + 1, due_at=None, ended_at=timezone.now(), note=note)
    )


def due() -> list[Turn]:
    """Turns that are due, for housekeeping to nudge; each is due again after a while."""
    now = timezone.now()
    rows = list(Backfill.objects.filter(state=BackfillState.RUNNING, due_at__lte=now))
    for row in rows:
        _of(turn_of(row)).update(due_at=now + NUDGED_AGAIN_AFTER)
    return [turn_of(row) for row in rows]
