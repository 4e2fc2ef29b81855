"""`manage.py badge_status --username U`: why does, or doesn't, this learner hold a badge?"""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline.management.command import DatabaseCommand
from pipeline.reports.learner import UnknownLearner, learner_status


class Command(DatabaseCommand):
    """Print one learner's progress and badges."""

    help = "One learner: progress per template, badges with their history, and the events that led there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--username` and `--json`."""
        parser.add_argument("--username", required=True, help="the learner's username in the LMS")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print the learner.

        Raises:
            CommandError: there is no such learner.
        """
        try:
            status = learner_status(options["username"])
        except UnknownLearner as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(status))
        else:
            self._print(status)

    def _print(self, status: dict[str, Any]) -> None:
        self.stdout.write(f"Learner {status['username']}")
        for progress in status["progress"]:
            self.stdout.write(f"\n{progress['name']}: {'complete' if progress['complete'] else 'not complete'}")
            for requirement in progress["requirements"]:
                self.stdout.write(f"  {_requirement_line(requirement)}")
        for badge in status["badges"]:
            credly = badge["credly"]
            self.stdout.write(
                f"\nBadge {badge['name']} ({badge['uuid']}): {badge['standing']}, Credly: {credly['state']}"
            )
            if credly["error"]:
                self.stdout.write(f"  {credly['error']}")
            for entry in badge["history"]:
                cause = f" (event {entry['event']})" if entry["event"] else ""
                self.stdout.write(f"  {entry['at']} {entry['what']}: {entry['outcome']}{cause}")
            for signal in badge["signals"]:
                self.stdout.write(f"  signal {signal['type']} {signal['id']}: {signal['state']}")


def _requirement_line(requirement: dict[str, Any]) -> str:
    mark = "[x]" if requirement["fulfilled"] else "[ ]"
    group = f" (group {requirement['group']})" if requirement["group"] else ""
    cause = f" by event {requirement['event']} of {requirement['time']}" if requirement["event"] else ""
    return f"{mark} {requirement['id']}{group}{cause}"
