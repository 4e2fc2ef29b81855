"""`manage.py backfill`: run the kept events through a badge template once more."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from types import FrameType
from typing import Any, NoReturn
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from pipeline import nudges
from pipeline.ledgers import backfills, kept
from pipeline.management.command import DatabaseCommand
from pipeline.management.moment import moment
from pipeline.models import Backfill, BackfillState, Template
from pipeline.reports.prospects import Prospect, prospects
from pipeline.stages.backfill import CantRun, compiled, rules_of
from pipeline.switch import require_badges_enabled

LOOK_AGAIN = 0.2
"""Seconds between two looks at how far it is."""

PATIENCE = 60.0
"""Seconds without any turn, after which the workers are taken to be away."""


class Command(DatabaseCommand):
    """Run the kept events through a badge template once more, so that what learners did before counts."""

    help = (
        "Run the kept events through a badge template once more: learners get the badge for what they did before the template "
        "was activated or its rules changed. The workers do it, and events that come in meanwhile go first. Safe at any time, "
        "may be stopped and run again: it goes on where it was. "
        "Examples: ./manage.py backfill 3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21 --dry-run; "
        "./manage.py backfill 'Intro Course' --since 2026-05-01"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define template, span and `--dry-run`."""
        parser.add_argument("template", metavar="TEMPLATE", help="its UUID, or its name if no other has the same")
        parser.add_argument(
            "--since",
            metavar="T",
            type=moment,
            help="only events of this time or later, by the event itself, e.g. 2026-05-01 or 2026-05-01T12:00 (UTC)",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--dry-run", action="store_true", help="list who would gain or lose the badge, and change nothing"
        )
        what.add_argument("--stop", action="store_true", help="stop one that is running")

    def handle(self, *, template: str, since: datetime | None, dry_run: bool, stop: bool, **_: Any) -> None:
        """List, stop, or begin and show how far it is.  May be repeated.

        Raises:
            CommandError: no such template, or it takes no part; another backfill of it is running; nobody works on it; it was
                stopped.
            SystemExit: it is to begin, and badges are switched off, so nobody would work on it.
        """
        chosen = _template(template)
        if dry_run:
            self._look(chosen, kept.Span(since, timezone.now()))
        elif stop:
            self._stop(chosen)
        else:
            require_badges_enabled()
            self._run(chosen, since)

    def _look(self, template: Template, span: kept.Span) -> None:
        try:
            as_active = compiled(template)
        except CantRun as reason:
            raise CommandError(str(reason)) from reason
        gains, losses, events = 0, 0, 0
        with _bar() as progress:
            bar = progress.add_task("Looking at kept events", total=kept.count(span))
            for look in prospects(as_active, span):
                for each in look.prospects:
                    self.stdout.write(_line(each))
                    gains += each.gains
                    losses += not each.gains
                events += look.events
                progress.update(bar, completed=events)
        self.stdout.write(
            f"{gains} badge(s) would be gained and {losses} lost, by {events} kept event(s). Nothing was changed."
        )

    def _stop(self, template: Template) -> None:
        row = Backfill.objects.filter(template=template).first()
        if row is None or not backfills.stop(row):
            raise CommandError("No backfill of this template is running.")
        row.refresh_from_db()
        self.stdout.write(f"Stopped. {_result(row)} Run it again to go on.")

    def _run(self, template: Template, since: datetime | None) -> None:
        is_others = Backfill.objects.filter(template=template, state=BackfillState.RUNNING).exists()
        row = _begun(template, since)
        nudges.backfill([backfills.turn_of(row)])
        with _asked_to_stop() as asked, _bar() as progress:
            row = _watch(row, progress, asked, self.stderr.write)
        if row.state == BackfillState.RUNNING:
            self._interrupted(row, is_others=is_others)
        if row.state == BackfillState.STOPPED:
            raise CommandError(f"It was stopped. {row.note} {_result(row)}".replace("  ", " "))
        self.stdout.write(f"Done. {_result(row)}")

    def _interrupted(self, row: Backfill, *, is_others: bool) -> NoReturn:
        """One that was running before goes on without this command."""
        if is_others:
            raise CommandError("It was running before, and goes on without this command; --stop stops it.")
        backfills.stop(row)
        row.refresh_from_db()
        raise CommandError(f"Stopped. {_result(row)} Run it again to go on.")


def _template(name: str) -> Template:
    """The template of this UUID or name.

    Raises:
        CommandError: there is none, or several have the name.
    """
    try:
        found = list(Template.objects.filter(uuid=UUID(name)))
    except ValueError:
        found = list(Template.objects.filter(name=name))
    if len(found) == 1:
        return found[0]
    if found:
        uuids = ", ".join(str(template.uuid) for template in found)
        raise CommandError(f"{len(found)} templates have the name {name!r}; give the UUID of one: {uuids}")
    raise CommandError(f"There is no template {name!r}; give its UUID or its whole name.")


def _line(prospect: Prospect) -> str:
    value = f" for {prospect.value}" if prospect.value else ""
    what = "gains" if prospect.gains else "loses"
    return f"{what} {prospect.username} (LMS user id {prospect.lms_user_id}){value}"


def _begun(template: Template, since: datetime | None) -> Backfill:
    try:
        return backfills.begin(template, rules_of(template)[1], since)
    except CantRun as reason:
        raise CommandError(str(reason)) from reason
    except backfills.RunsOtherwise as other:
        raise CommandError("A backfill with another --since is running; --stop stops it.") from other


def _watch(row: Backfill, progress: Progress, asked: Event, tell: Callable[[str], object]) -> Backfill:
    """Return when it goes no further, or this command is asked to stop; without a terminal tell what it waits for.

    Raises:
        CommandError: nobody works on it.
    """
    bar = progress.add_task("Running kept events", total=None)
    seen, patient_until, told = (row.turn, row.due_at), time.monotonic() + PATIENCE, ""
    while row.state == BackfillState.RUNNING and not asked.is_set():
        progress.update(bar, total=row.total, completed=row.looked_at, description=row.note or "Running kept events")
        if progress.disable and row.note not in ("", told):
            told = row.note
            tell(told)
        if seen != (row.turn, row.due_at):
            seen, patient_until = (row.turn, row.due_at), time.monotonic() + PATIENCE
        elif time.monotonic() > patient_until:
            last = f" It said last: {row.note}" if row.note else ""
            raise CommandError(
                f"Nobody has worked on it for {PATIENCE:.0f} s: nothing moves.{last} Start the workers and beat; it goes on by "
                f"itself then, and --stop stops it. {_result(row)}"
            )
        asked.wait(LOOK_AGAIN)
        row.refresh_from_db()
    return row


def _result(row: Backfill) -> str:
    of_all = f" of {row.total}" if row.total is not None else ""
    return (
        f"{row.looked_at}{of_all} kept event(s) looked at; {row.ran} met the rules and ran again; "
        f"{row.awarded} badge(s) awarded, {row.revoked} revoked."
    )


def _bar() -> Progress:
    return Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """Set by SIGINT or SIGTERM, which end nothing themselves meanwhile."""
    asked = Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
