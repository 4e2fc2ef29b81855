"""`manage.py redrive`: put failed work back."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline import nudges
from pipeline.ledgers import holdings, inbox, outbox
from pipeline.management.command import DatabaseCommand
from pipeline.models import Badge, CredlyState, Event, EventStatus, Signal, SignalState


class Command(DatabaseCommand):
    """Put failed events, badges and signals back to work."""

    help = (
        "Put failed work back: events are evaluated again, badges are looked up at Credly and issued or revoked, signals "
        "are sent. Safe at any time: nothing is done twice. Messages that could not be read stay failed. "
        "Example: ./manage.py redrive badges"
    )
    KINDS = ("events", "badges", "signals")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the kinds."""
        parser.add_argument("kinds", nargs="*", metavar="KIND", help="events, badges or signals (default: all)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Put back and nudge.

        Raises:
            CommandError: a kind is none of the three.
        """
        kinds = options["kinds"] or self.KINDS
        for kind in kinds:
            if kind not in self.KINDS:
                raise CommandError(f"{kind!r} is not allowed; it must be one of {', '.join(self.KINDS)}", returncode=2)
        for kind in kinds:
            number = _REDRIVE[kind]()
            self.stdout.write(f"{number} failed {kind.removesuffix('s') if number == 1 else kind} put back")


def _events() -> int:
    failed = Event.objects.filter(status=EventStatus.FAILED).values_list("id", flat=True)
    ready = inbox.redrive(list(failed))
    nudges.evaluate_alone(ready)
    return len(ready)


def _badges() -> int:
    failed = Badge.objects.filter(credly_state=CredlyState.FAILED)
    ready = [badge.pk for badge in failed if holdings.redrive(badge)]
    nudges.issue(ready)
    return len(ready)


def _signals() -> int:
    failed = Signal.objects.filter(state=SignalState.FAILED)
    ready = [signal.pk for signal in failed if outbox.redrive(signal)]
    nudges.emit(ready)
    return len(ready)


_REDRIVE = {"events": _events, "badges": _badges, "signals": _signals}
