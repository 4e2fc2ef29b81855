"""The command `purge_events`."""

import argparse
import sys
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import Progress

from pipeline.ledgers import retention
from pipeline.ledgers.retention import Removed
from pipeline.management.command import DatabaseCommand

LONGEST = 36_500
"""Days: a hundred years."""


class Command(DatabaseCommand):
    """Remove events and webhooks that are older than their retention."""

    help = (
        "Remove events and webhooks that ended and came longer ago than RETENTION_DAYS, and refused webhooks after a day; "
        "progress, badges, history and signals stay. A task does the same every night. May be interrupted and run again. "
        "Example: ./manage.py purge_events --days 30 --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define `--days` and `--dry-run`."""
        parser.add_argument(
            "--days",
            metavar="N",
            type=_days,
            help="keep those of the last N days (default: the setting RETENTION_DAYS)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many would be removed")

    def handle(self, *, days: int | None, dry_run: bool, **_: Any) -> None:
        """Count, remove batch by batch unless it is a dry run, and print the counts."""
        before = retention.expiry(days or settings.RETENTION_DAYS)
        removed = expired = retention.expired(before)
        if not dry_run:
            removed = _remove_all(before, expired.total)
        verb = "Would remove" if dry_run else "Removed"
        self.stdout.write(
            f"{verb} what was received before {before:%Y-%m-%d %H:%M} UTC: events {removed.events}, "
            f"webhooks {removed.webhooks}."
        )


def _remove_all(before: datetime, total: int) -> Removed:
    removed = Removed(0, 0)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("Removing", total=total)
        while (batch := retention.remove(before)).total:
            removed += batch
            progress.advance(bar, batch.total)
    return removed


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a whole number from 1 to {LONGEST}")
    return int(text)
