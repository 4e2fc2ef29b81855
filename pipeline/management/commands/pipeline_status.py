"""`manage.py pipeline_status`: does everything flow?"""

import json
from typing import Any

from django.core.management.base import CommandParser

from pipeline.management.command import DatabaseCommand
from pipeline.models import GateReason
from pipeline.reports.status import pipeline_status

FAULTS = {
    GateReason.FAILING: "Credly fails one call after the other",
    GateReason.THROTTLED: "Credly asked for fewer calls",
}
"""Of a refused key another line tells."""


class Command(DatabaseCommand):
    """Print counts by state at every stage."""

    help = "Counts by state at every stage, the oldest waiting item, and organizations for which Credly is not called."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--json`."""
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print the status."""
        status = pipeline_status()
        if options["json"]:
            self.stdout.write(json.dumps(status))
            return
        for stage in ("events", "badges", "credly", "signals", "webhooks"):
            counts = "  ".join(f"{state} {number}" for state, number in status[stage].items() if state != "circuits")
            self.stdout.write(f"{stage:8} {counts}")
        unread = status["bus"]["unread"]
        self.stdout.write(f"bus      {'does not answer' if unread is None else f'unread {unread}'}")
        for gap in status["bus"]["gaps"]:
            number = "an unknown number of" if gap["messages"] is None else gap["messages"]
            self.stdout.write(
                f"Lost on the bus: {number} messages of {gap['topic']}, added from {gap['from']} to {gap['until']}, before "
                f"group {gap['group']} had read them"
            )
        for refused in status["keys_refused"]:
            self.stdout.write(
                f"Organization {refused['organization']} has no working API key since {refused['since']}; its badges wait"
            )
        for circuit in status["credly"]["circuits"]:
            if circuit["reason"] in FAULTS:
                self.stdout.write(
                    f"Organization {circuit['organization']}: {FAULTS[circuit['reason']]}; its badges wait, next call "
                    f"{circuit['next_call']}, circuit {circuit['state']}, failures in a row: {circuit['failures']}"
                )
        for expiring in status["keys_expiring"]:
            verb = "expired" if expiring["days"] < 0 else "expires"
            self.stdout.write(
                f"Organization {expiring['organization']}: its API key {verb} on {expiring['expires'][:10]}"
            )
        waiting = status["oldest_waiting"]
        if waiting:
            self.stdout.write(f"Waiting longest: one {waiting['kind']}, for {waiting['seconds']} s.")
        self.stdout.write("Idle: nothing waits at any stage." if status["idle"] else "Working.")
