"""`manage.py import_history`: the events that the LMS would have sent, from a list of who passed what and when."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db.models import Count, Max
from rich.console import Console
from rich.progress import Progress

from pipeline import nudges
from pipeline.bus.codec import DecodedMessage
from pipeline.ledgers import inbox
from pipeline.lms import history
from pipeline.lms.history import BadValue
from pipeline.management.command import INTERRUPTED, DatabaseCommand
from pipeline.models import Event, EventStatus
from pipeline.switch import require_badges_enabled

AT_ONCE = 500
"""Events of one transaction and one message, and how many wait in the inbox at the most when the next follow."""

TOLD = 20
"""Bad lines that are told one by one."""

LOOK_AGAIN = 0.1
PATIENCE = 60.0
"""Seconds in which nothing in the inbox was worked on, after which the workers are taken to be away."""


class Command(DatabaseCommand):
    """Make the events that the LMS would have sent, from a CSV of who passed which course and when."""

    help = (
        "Make the events that the LMS would have sent from a CSV with the columns "
        f"{', '.join(history.COLUMNS)}. Nothing is imported while a line is wrong, unless --skip-bad is given. Importing "
        "twice changes nothing, so it may be stopped and run again. docs/backfill.md has the query for the LMS. "
        "Example: ./manage.py import_history passed.csv"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the file and its options."""
        parser.add_argument(
            "file", metavar="FILE.csv", type=Path, help="in UTF-8, its first line with the columns' names"
        )
        parser.add_argument("--dry-run", action="store_true", help="only check the file")
        parser.add_argument("--skip-bad", action="store_true", help="import the good lines, and tell the bad ones")

    def handle(self, *, file: Path, dry_run: bool, skip_bad: bool, **_: Any) -> None:
        """Check all lines, then store and nudge chunk by chunk.  May be repeated.

        A chunk follows when few events wait in the inbox, so that those that come in meanwhile never queue for long.

        Raises:
            CommandError: the file is no such CSV, lines are wrong, nobody works on the events, or it was stopped.
            SystemExit: badges are switched off, so nobody would work on the events.
        """
        if not dry_run:
            require_badges_enabled()
        try:
            good, bad = self._check(file)
            if bad and not skip_bad:
                raise CommandError(
                    f"{bad} line(s) are wrong, so nothing was imported. --skip-bad imports the other {good}."
                )
            skipped = f" {bad} line(s) are wrong and were left out." if bad else ""
            if dry_run:
                self.stdout.write(f"{good} line(s) can be imported. Nothing was.{skipped}")
                return
            new = self._import(file, good)
        except history.BadFile as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{good} line(s) imported: {new} new event(s), {good - new} known before.{skipped}")

    def _check(self, file: Path) -> tuple[int, int]:
        """How many lines are good, and how many bad; tells the first bad ones."""
        counts = Counter[bool]()
        for each in history.read(file):
            is_bad = isinstance(each, BadValue)
            counts[is_bad] += 1
            if is_bad and counts[True] <= TOLD:
                self.stderr.write(f"{file}: {each}")
        if counts[True] > TOLD:
            self.stderr.write(f"{file}: and {counts[True] - TOLD} more")
        return counts[False], counts[True]

    def _import(self, file: Path, total: int) -> int:
        imported, new = 0, 0
        good = (each for each in history.read(file) if isinstance(each, DecodedMessage))
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("Importing history", total=total)
            try:
                for chunk in _chunks(good):
                    _await_workers(imported)
                    new += len(_store(chunk))
                    imported += len(chunk)
                    progress.update(bar, completed=imported)
            except KeyboardInterrupt:
                raise CommandError(
                    f"Stopped; {imported} of {total} line(s) imported. {_GO_ON}", returncode=INTERRUPTED
                ) from None
        return new


_GO_ON = "Run it again to go on: what is imported already changes nothing."


def _chunks(messages: Iterator[DecodedMessage]) -> Iterator[list[DecodedMessage]]:
    """As many at once as one transaction takes; a line that stands there twice, once in each."""
    while chunk := list(islice(messages, AT_ONCE)):
        yield list({message.id: message for message in chunk}.values())


def _store(messages: Sequence[DecodedMessage]) -> list[UUID]:
    """Store events as the consumer does; those that are new.  May be repeated."""
    known = set(Event.objects.filter(pk__in=[message.id for message in messages]).values_list("pk", flat=True))
    new = [message for message in messages if message.id not in known]
    nudges.evaluate(inbox.store(new, settings.BADGES_TOPIC))
    return [message.id for message in new]


def _await_workers(imported: int) -> None:
    """Return when few events wait in the inbox.

    As many may come in as are worked on, so what counts is whether any ended of those that waited before.

    Raises:
        CommandError: nobody works on them.
    """
    received = Event.objects.filter(status=EventStatus.RECEIVED)
    waited, newest, patient_until = 0, None, 0.0
    while (look := received.aggregate(waiting=Count("pk"), newest=Max("received_at")))["waiting"] >= AT_ONCE:
        waiting = look["waiting"]
        if newest is None or received.filter(received_at__lte=newest).count() < waited:
            waited, newest, patient_until = waiting, look["newest"], time.monotonic() + PATIENCE
        elif time.monotonic() > patient_until:
            raise CommandError(
                f"Nobody has worked on the inbox for {PATIENCE:.0f} s; {waiting} events wait, {imported} line(s) are "
                f"imported. Start the workers. {_GO_ON}"
            )
        time.sleep(LOOK_AGAIN)
