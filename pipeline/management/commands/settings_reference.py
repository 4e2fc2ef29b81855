"""The command `settings_reference`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pipeline.reports import settings_reference


class Command(BaseCommand):
    """Write the page of the documentation that lists every setting."""

    help = (
        "Print the settings reference (docs/settings.md), made from the settings themselves. "
        "Example: ./manage.py settings_reference --output docs/settings.md"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define `--output`."""
        parser.add_argument("--output", metavar="FILE", type=Path, help="write to this file instead of standard output")

    def handle(self, *, output: Path | None, **_: Any) -> None:
        """Print or write the page."""
        page = settings_reference.page()
        if output is None:
            self.stdout.write(page, ending="")
            return
        try:
            output.write_text(page, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"Can't write {output}: {error.strerror}") from None
