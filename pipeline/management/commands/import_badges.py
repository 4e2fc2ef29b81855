"""The command `import_badges`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from pipeline.configuration.difference import counted
from pipeline.configuration.importing import import_configuration
from pipeline.configuration.places import MAX_BYTES, DocumentError


class Command(BaseCommand):
    """Bring the badge configuration to what a YAML file says."""

    help = (
        "Bring the badge configuration to what a YAML file says. Nothing is changed when the file has an "
        "error, or by a second import of the same file. What the file does not mention stays; a template "
        "that it mentions gets exactly the file's requirements, penalties and rules. "
        "Example: ./manage.py import_badges badges.yaml --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the file and `--dry-run`."""
        parser.add_argument("file", metavar="FILE.yaml", help="the file, as export_badges writes it")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print the difference and change nothing",
        )

    def handle(self, *, file: str, dry_run: bool, **_: Any) -> None:
        """Import, and print what changed."""
        try:
            changes = import_configuration(_read(file), file, dry_run=dry_run)
        except DocumentError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        except DatabaseError as error:
            raise CommandError(f"Nothing was imported, the database refused: {' '.join(str(error).split())}") from error
        for change in changes:
            self.stdout.write(str(change))
        summary = counted(changes)
        if not summary:
            self.stdout.write("Nothing to change.")
        else:
            self.stdout.write(f"Would be: {summary}." if dry_run else f"Done: {summary}.")


def _read(file: str) -> bytes:
    """The file's bytes, one more than allowed at most.

    Raises:
        CommandError: it can't be read.
    """
    try:
        with open(file, "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"can't read {file}: {error.strerror}") from error
