"""The command `import_badges`."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline import stages
from pipeline.configuration import organizations
from pipeline.configuration.difference import counted
from pipeline.configuration.importing import import_configuration
from pipeline.configuration.places import MAX_BYTES, DocumentError
from pipeline.management.command import DatabaseCommand
from pipeline.models import Organization


class Command(DatabaseCommand):
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
            imported = import_configuration(_read(file), file, dry_run=dry_run)
        except DocumentError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        for change in imported.changes:
            self.stdout.write(str(change))
        summary = counted(imported.changes)
        if not summary:
            self.stdout.write("Nothing to change.")
        else:
            self.stdout.write(f"Would be: {summary}." if dry_run else f"Done: {summary}.")
        anew = [change.counts_anew for change in imported.changes if change.counts_anew]
        if anew and not dry_run:
            self.stdout.write("These rules count from now on. What earlier events would change is told by")
            for template in anew:
                self.stdout.write(f"  manage.py backfill {template} --dry-run")
        for warning in imported.warnings:
            self.stderr.write(f"Warning: {warning}.")
        for organization in Organization.objects.all():
            if not dry_run:
                stages.note_key(organization)
            self._warn_without_key(organization)

    def _warn_without_key(self, organization: Organization) -> None:
        """Say so if the organization's badges will wait for a key, which only the process `credly` needs."""
        try:
            organizations.api_key(organization)
        except organizations.KeyMissing as missing:
            self.stderr.write(f"Warning: {organization} ({organization.uuid}): {missing} Its badges wait until then.")


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
