"""The command `export_badges`."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline.configuration.exporting import export_configuration
from pipeline.management.command import DatabaseCommand


class Command(DatabaseCommand):
    """Write the badge configuration as YAML."""

    help = (
        "Write the badge configuration as YAML that import_badges takes back. API keys are never written: "
        "the file names the environment variables to set. "
        "Example: ./manage.py export_badges --output badges.yaml"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define `--output`."""
        parser.add_argument("--output", metavar="FILE", type=Path, help="where to write it (default: standard output)")

    def handle(self, *, output: Path | None, **_: Any) -> None:
        """Export to the file, else to standard output."""
        text = export_configuration()
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            _replace(output, text)
        except OSError as error:
            raise CommandError(f"can't write {output}: {error.strerror}") from error


def _replace(output: Path, text: str) -> None:
    """Put the whole text in the file's place, or leave that as it was.

    1. write a temporary file beside it; 2. rename that over it.  May safely be repeated; a process killed in
    between leaves the temporary file behind.

    Raises:
        OSError: the folder or the disk does not take it.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(output)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
