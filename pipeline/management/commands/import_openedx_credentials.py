"""The command `import_openedx_credentials`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from pipeline import stages
from pipeline.configuration.organizations import ENVIRONMENT_PREFIX
from pipeline.management.command import DatabaseCommand
from pipeline.models import Organization
from pipeline.switching.database import read_database
from pipeline.switching.dump import Advance, read_dump
from pipeline.switching.organizations import KeyThere
from pipeline.switching.peer import Peer, PeerError
from pipeline.switching.people import read_lms_ids
from pipeline.switching.takeover import take_over


class Command(DatabaseCommand):
    """Take over what the badges app of openedx/credentials knows, without issuing anything again."""

    help = (
        "Take over organizations, templates, rules, learners, progress and badges of openedx/credentials, from a file "
        "of its dumpdata or from its database. A second run finds nothing to do; a newer copy brings what came since, but "
        "for what an event or a person has changed here. Credly is not called: what it has to be asked is reported, and "
        "asked by the pipeline later. Begin with --dry-run. "
        "Example: ./manage.py import_openedx_credentials credentials.json --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the source and what to do with it."""
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "source", nargs="?", metavar="SOURCE", help="a dumpdata file, JSON or JSONL; - is standard input"
        )
        source.add_argument(
            "--database",
            metavar="URL",
            help="the peer's database in place of a file, which is only read: postgres://, mysql:// or sqlite://, or "
            "env:NAME for a URL in the environment",
        )
        parser.add_argument(
            "--lms-ids",
            metavar="FILE",
            help="id and username of the LMS's table auth_user, separated by commas or tabs, for users that lack their id",
        )
        parser.add_argument(
            "--without-keys",
            action="store_true",
            help="leave API keys out, and refuse if there are any here, so that Credly can't be called while the peer still "
            "issues; a later run brings them",
        )
        parser.add_argument("--dry-run", action="store_true", help="print the report and change nothing")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")

    def handle(
        self,
        *,
        source: str | None,
        database: str | None,
        lms_ids: str | None,
        without_keys: bool,
        dry_run: bool,
        json: bool,
        **_: Any,
    ) -> None:
        """Read the peer, take over, and print the report.

        Raises:
            CommandError: a source can't be used, or Credly could be called; nothing is changed.
        """
        with self._bar() as advance:
            try:
                known = read_lms_ids(lms_ids) if lms_ids else {}
                peer = _read(source, database, advance)
                report = take_over(peer, known, dry_run=dry_run, advance=advance, with_keys=not without_keys)
            except (PeerError, KeyThere) as error:
                raise CommandError(str(error)) from error
        if not dry_run:
            for organization in Organization.objects.all():
                stages.note_key(organization)
        if json:
            self.stdout.write(_as_json(report.as_data(dry_run=dry_run)))
            return
        for line in report.lines():
            self.stdout.write(line)
        self.stdout.write(report.summary(dry_run=dry_run))

    @contextmanager
    def _bar(self) -> Iterator[Advance]:
        """A bar for each part of the work, on a terminal."""
        with Progress(console=Console(stderr=True), transient=True, disable=not self.stderr.isatty()) as progress:
            bars: dict[str, Any] = {}

            def advance(what: str, done: int, total: int | None) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(what, total=None)
                progress.update(bars[what], completed=done, total=total)

            yield advance


def _read(source: str | None, database: str | None, advance: Advance) -> Peer:
    if source:
        return read_dump(source, advance)
    url = database or ""
    if url.startswith(ENVIRONMENT_PREFIX):
        name = url.removeprefix(ENVIRONMENT_PREFIX)
        url = os.environ.get(name, "")
        if not url:
            raise PeerError(f"the environment variable {name} is not set")
    return read_database(url, advance)


def _as_json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2)
