"""`manage.py badge_status --username U`: why does, or doesn't, this learner hold a badge?"""

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline.management import person
from pipeline.management.command import DatabaseCommand
from pipeline.models import Learner
from pipeline.reports import finding
from pipeline.reports.comparisons import matched_rules
from pipeline.reports.learner import EVENTS_SHOWN, learner_status


class Command(DatabaseCommand):
    """Print why one learner holds or does not hold badges: the explanation, then the facts behind it."""

    help = "One learner: why they hold a badge or not, progress, badges with their history, signals, newest events."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three ways to name a learner, and `--json`."""
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--username", help="the learner's username in the LMS")
        who.add_argument("--email", help="the learner's e-mail, in whatever case")
        who.add_argument("--lms-user-id", type=person.lms_user_id, metavar="ID", help="the learner's id in the LMS")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print the learner.

        Raises:
            CommandError: there is no such learner.
        """
        try:
            status = learner_status(_learner(options))
        except finding.UnknownLearner as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(status) if options["json"] else "\n".join(_lines(status)))


def _learner(options: dict[str, Any]) -> Learner:
    if options["username"] is not None:
        return finding.by_username(options["username"])
    if options["email"] is not None:
        return finding.by_email(options["email"])
    return finding.by_lms_user_id(options["lms_user_id"])


def _lines(status: dict[str, Any]) -> Iterator[str]:
    yield f"Learner {status['username']}, LMS user id {status['lms_user_id']}"
    yield from (explanation["text"] for explanation in status["explanation"])
    for progress in status["progress"]:
        yield f"\n{_name(progress)}: {'complete' if progress['complete'] else 'not complete'}"
        yield from (f"  {_requirement(requirement)}" for requirement in progress["requirements"])
    for badge in status["badges"]:
        yield from _badge(badge)
    yield f"\nNewest events (at most {EVENTS_SHOWN})"
    yield from (f"  {_event(event)}" for event in status["events"])


def _name(of_badge: dict[str, Any]) -> str:
    return f"{of_badge['name']} for {of_badge['for']}" if of_badge["for"] else str(of_badge["name"])


def _requirement(requirement: dict[str, Any]) -> str:
    mark = "[x]" if requirement["fulfilled"] else "[ ]"
    group = f" (group {requirement['group']})" if requirement["group"] else ""
    lines = [f"{mark} {requirement['id']}{group}{_decision(requirement)}"]
    if not requirement["fulfilled"]:
        lines.append(f"needs {requirement['needs']}")
    if requirement["waits"]:
        lines.append(requirement["waits"])
    if requirement["count"] and requirement["count"]["needed"] > 1:
        lines += _count(requirement["count"])
    return "\n      ".join(lines)


def _count(count: dict[str, Any]) -> Iterator[str]:
    yield f"{count['reached']} of {count['needed']}"
    for match in count["matches"]:
        value = f" {match['value']}" if match["value"] is not None else ""
        yield f"  counts:{value} by event {match['event']} of {match['time']}"


def _decision(requirement: dict[str, Any]) -> str:
    matched = requirement["matched"]
    if not matched:
        return ""
    taken_back = f": taken back by penalty {matched['penalty']}" if "penalty" in matched else ""
    return (
        f"{taken_back} by event {requirement['event']} of {requirement['time']}, which matched {matched_rules(matched)}"
    )


def _badge(badge: dict[str, Any]) -> Iterator[str]:
    credly = badge["credly"]
    yield f"\nBadge {_name(badge)} ({badge['uuid']}): {badge['standing']}, Credly: {credly['state']}"
    if credly["error"]:
        yield f"  {credly['error']}"
    for entry in badge["history"]:
        cause = f" (event {entry['event']})" if entry["event"] else ""
        actor = f" by {entry['actor']}" if entry["actor"] else ""
        yield f"  {entry['at']} {entry['what']}{actor}: {entry['outcome']}{cause}"
    yield from (f"  signal {signal['type']} {signal['id']}: {signal['state']}" for signal in badge["signals"])


def _event(event: dict[str, Any]) -> str:
    remark = f": {event['remark']}" if event["remark"] else ""
    values = "".join(f", {path} = {value}" for path, value in event["values"].items())
    return f"{event['time']} {event['type']} {event['id']}{values}: {event['status']}{remark}"
