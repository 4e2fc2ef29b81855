"""The command `retire_learner`."""

import sys
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import Progress

from pipeline.ledgers import retirement
from pipeline.ledgers.retirement import Retired
from pipeline.management import person, question
from pipeline.management.command import DatabaseCommand


class Command(DatabaseCommand):
    """Remove a learner's username, e-mail and name from all that is stored here."""

    help = (
        "Remove a learner's username, e-mail and name from all that is stored here, for good; later events bring none "
        "back. Ids, progress, badges and counts stay, and so does a badge at Credly, which is told nothing. "
        "May be run again, and goes on after an interruption. Example: ./manage.py retire_learner --lms-user-id 42"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define who, and `--yes`."""
        person.add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, yes: bool, **options: Any) -> None:
        """Ask, retire, and print what was changed.

        Raises:
            CommandError: nothing is held about that person, or nobody said yes.
        """
        lms_user_id = person.chosen(options)
        if not yes:
            question.ask(
                f"Username, e-mail and name of learner {lms_user_id} will be removed here for good. Credly is told nothing: "
                "badges stay there as they are. Go on?"
            )
        retired = _retire(lms_user_id)
        self.stdout.write(
            f"Learner {lms_user_id} is retired. Changed: events {retired.events}, signals {retired.signals}, other texts "
            f"{retired.texts}; unreadable messages emptied: {retired.unreadable}."
        )


def _retire(lms_user_id: int) -> Retired:
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("Events", total=None)
        return retirement.retire(lms_user_id, lambda done, total: progress.update(bar, completed=done, total=total))
