"""`manage.py check`: Django's own, asking the default database as well."""

from django.core.management.base import CommandParser
from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS


class Command(check.Command):
    """Check the whole project, with the checks that need a database, such as that of the API keys."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take Django's arguments; `--database` is the default one unless others are named."""
        super().add_arguments(parser)
        parser.set_defaults(databases=[DEFAULT_DB_ALIAS])
