"""The base of our commands."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

INTERRUPTED = 130
"""The exit status of what Ctrl-C ended, as shells have it."""


class DatabaseCommand(BaseCommand):
    """A command that says in one line when the database can't be used, or Ctrl-C ended it, instead of ending in a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command.

        Raises:
            CommandError: also for whatever the database refuses; for Ctrl-C, unless the command minds it, with status 130.
        """
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            raise CommandError(
                f"The database refuses: {' '.join(str(error).split())}. "
                "Check that it runs and that its tables are up to date (manage.py migrate)."
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=INTERRUPTED) from None
