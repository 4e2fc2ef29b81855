"""The command `export_learner`."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline.management import person
from pipeline.management.command import DatabaseCommand
from pipeline.reports.export import learner_export


class Command(DatabaseCommand):
    """Write all that is held about one learner as JSON."""

    help = (
        "Write all that is held about one learner as one JSON object: learner, progress, badges with their history, "
        "signals and events; nothing about others. Example: ./manage.py export_learner --lms-user-id 42 --output 42.json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define who, and `--output`."""
        person.add_arguments(parser)
        parser.add_argument(
            "--output",
            metavar="FILE",
            type=Path,
            help="where to write it, readable by its owner only (default: standard output)",
        )

    def handle(self, *, output: Path | None, **options: Any) -> None:
        """Export to the file, else to standard output.

        Raises:
            CommandError: nothing is held about that person, or the file can't be written.
        """
        text = json.dumps(learner_export(person.chosen(options)), indent=2, ensure_ascii=False)
        if output is None:
            self.stdout.write(text)
            return
        try:
            _replace(output, f"{text}\n")
        except OSError as error:
            raise CommandError(f"can't write {output}: {error.strerror}") from error


def _replace(output: Path, text: str) -> None:
    """Put the whole text in the file's place with mode 0600, or leave that as it was.

    1. write a temporary file beside it, which nobody else may read from its beginning; 2. rename that over it.  May
    safely be repeated; a process killed in between leaves the temporary file behind.

    Raises:
        OSError: the folder or the disk does not take it.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(output)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
