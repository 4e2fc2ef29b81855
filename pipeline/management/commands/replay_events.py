"""`manage.py replay_events`: run stored events again."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q, QuerySet
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from pipeline import replaying
from pipeline.bus import catalogue
from pipeline.management import person, question
from pipeline.management.command import DatabaseCommand
from pipeline.management.moment import moment
from pipeline.models import Event, EventStatus, Learner
from pipeline.switch import require_badges_enabled

ENDED = (EventStatus.PROCESSED, EventStatus.IGNORED, EventStatus.FAILED)
LOOK_AGAIN = 0.1
"""Seconds between two looks at whether the chunk before is done."""

PATIENCE = 60.0
"""Seconds without any event of a chunk being worked on, after which the workers are taken to be away."""


class Command(DatabaseCommand):
    """Run stored events again: they are evaluated and persisted as if they had just come."""

    help = (
        "Run stored events again, for example over the past after a template was activated late. Safe at any time: what an "
        "event did already is not done twice. May be stopped and run again. "
        "Examples: ./manage.py replay_events --since 2026-05-01 --status ignored --dry-run; "
        "./manage.py replay_events --username dana"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the selection."""
        parser.add_argument("--id", metavar="ID", action="append", type=_uuid, help="this event; may be given again")
        parser.add_argument("--type", metavar="T", type=_event_type, help="events of this type")
        parser.add_argument(
            "--since",
            metavar="T",
            type=moment,
            help="stored at this time or later, e.g. 2026-05-01 or 2026-05-01T12:00 (UTC)",
        )
        parser.add_argument("--until", metavar="T", type=moment, help="stored before this time")
        learner = parser.add_mutually_exclusive_group()
        learner.add_argument("--username", metavar="U", help="events about this learner")
        learner.add_argument(
            "--lms-user-id", metavar="N", type=person.lms_user_id, help="events about the learner with this id"
        )
        parser.add_argument("--status", choices=[str(status.value) for status in ENDED], help="how they ended")
        parser.add_argument("--all", action="store_true", dest="every", help="all events; in place of any filter")
        parser.add_argument("--dry-run", action="store_true", help="only count them")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, dry_run: bool, yes: bool, **options: Any) -> None:
        """Count, ask, and put the events back chunk by chunk, the oldest first.

        A chunk follows when the one before is worked off, so that events that come in meanwhile never queue for long.
        May safely be stopped and repeated.

        Raises:
            CommandError: wrong options (status 2), an unknown learner or event, nobody said yes, nobody works on the events,
                interrupted.
            SystemExit: badges are switched off, so nobody would work on the events.
        """
        events = _selected(options)
        total = events.count()
        unreadable = events.exclude(raw=None).count()
        left_out = f" {unreadable} could not be read when they came and are left out." if unreadable else ""
        if dry_run or total == unreadable:
            self.stdout.write(f"{total - unreadable} event(s) to run again.{left_out}")
            return
        require_badges_enabled()
        if not yes:
            question.ask(f"Run {total - unreadable} event(s) again?")
        replayed = self._replay(events.filter(raw=None), total - unreadable)
        self.stdout.write(f"{replayed} event(s) put back to be evaluated.{left_out}")

    def _replay(self, events: QuerySet[Event], total: int) -> int:
        replayed = 0
        last: datetime | None = None
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("Replaying events", total=total)
            try:
                for ids, last in _chunks(events):
                    replayed += replaying.replay(ids)
                    progress.update(bar, completed=replayed)
                    if replayed < total:
                        _await_workers(ids, last)
            except KeyboardInterrupt:
                raise CommandError(f"Stopped; {replayed} of {total} event(s) were put back. {_go_on(last)}") from None
        return replayed


def _selected(options: dict[str, Any]) -> QuerySet[Event]:
    """The events that ended and that the options name.

    Raises:
        CommandError: there is no filter (status 2), or no such learner or event.
    """
    names = ("id", "type", "since", "until", "username", "lms_user_id", "status")
    given = {name: options[name] for name in names if options[name] is not None}
    if bool(given) == options["every"]:
        problem = "--all goes without filters" if given else "Say which events: give a filter, or --all"
        raise CommandError(problem, returncode=2)
    if "username" in given:
        given["lms_user_id"] = _lms_user_id(given.pop("username"))
    _refuse_unknown(given.get("id", []))
    lookups = {"id": "pk__in", "since": "received_at__gte", "until": "received_at__lt"}
    filters = {lookups.get(name, name): value for name, value in given.items()}
    return Event.objects.filter(received_at__lte=timezone.now(), status__in=ENDED).filter(**filters)


def _refuse_unknown(events: Sequence[UUID]) -> None:
    stored = set(Event.objects.filter(pk__in=events).values_list("pk", flat=True))
    unknown = [str(event) for event in events if event not in stored]
    if unknown:
        raise CommandError(f"Nothing was done: no event is stored with the id {', '.join(unknown)}.")


def _lms_user_id(username: str) -> int:
    learner = Learner.objects.filter(username=username).order_by("-as_of").first()
    if learner is None:
        raise CommandError(
            f"No learner {username!r}: no event about them has met a requirement or penalty of an active template yet. "
            "Their LMS id finds all their events: --lms-user-id."
        )
    return learner.lms_user_id


def _chunks(events: QuerySet[Event]) -> Iterator[tuple[list[UUID], datetime]]:
    """The ids of the events in the order in which they were stored, and when the last of each chunk was."""
    rest = events.order_by("received_at", "id")
    while chunk := list(rest.values_list("id", "received_at")[: replaying.AT_ONCE]):
        newest, received_at = chunk[-1]
        yield [event for event, _ in chunk], received_at
        after = Q(received_at__gt=received_at) | Q(received_at=received_at, id__gt=newest)
        rest = events.filter(after, received_at__gte=received_at).order_by("received_at", "id")


def _await_workers(events: Sequence[UUID], last: datetime) -> None:
    """Return when these events are worked off.

    Raises:
        CommandError: nobody works on them.
    """
    fewest = len(events) + 1
    patient_until = 0.0
    while waiting := replaying.waiting(events):
        if waiting < fewest:
            fewest, patient_until = waiting, time.monotonic() + PATIENCE
        elif time.monotonic() > patient_until:
            raise CommandError(
                f"Nobody has worked on the events for {PATIENCE:.0f} s; {waiting} wait. Start the workers. {_go_on(last)}"
            )
        time.sleep(LOOK_AGAIN)


def _go_on(last: datetime | None) -> str:
    return f"To go on, give --since {last.isoformat()}" if last else "Run it again to go on."


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no event id (a UUID)") from None


def _event_type(text: str) -> str:
    if text not in catalogue.event_types():
        raise argparse.ArgumentTypeError(f"{text!r} is no event type with a learner; see docs/events.md")
    return text
