"""The command `produce_events`."""

import argparse
import json
import math
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys import InvalidKeyError
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import Progress

from pipeline.bus.topics import enabled_topics
from pipeline.bus.unavailable import BusUnavailable
from pipeline.bus.waiting import is_kafka
from pipeline.configuration.places import DocumentError
from pipeline.lms.delivery import delivery
from pipeline.lms.events import LmsEvent, course_key
from pipeline.lms.generation import Generation
from pipeline.lms.playing import Playing
from pipeline.lms.reading import read_events
from pipeline.switch import require_badges_enabled

LMS_SETTINGS = "pipeline.lms.settings"
DEMO_COURSE = "course-v1:OpenedX+DemoX+Demo_Course"
_MADE_UP_ONLY = ("course", "passing", "failing", "seed", "start_id")


class Command(BaseCommand):
    """Play learner events onto the event bus as the LMS does.

    What is published, and by which producer, is decided by Django settings and fixed when Django starts. So the command
    starts itself anew under the settings of the LMS, in the same process: output, signals and exit status stay its own.
    """

    help = (
        "Play learner events onto the event bus with the LMS's own producer, for trials and load. "
        "Examples: ./manage.py produce_events --learners 100 --course course-v1:OpenedX+DemoX+Demo_Course; "
        "./manage.py produce_events --learners 10 --passing --failing --repeat 3 --rate 50; "
        "./manage.py produce_events --file events.jsonl --json"
    )
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Start anew under the settings of the LMS unless they are in force (the last `--settings` counts)."""
        if settings.SETTINGS_MODULE != LMS_SETTINGS:
            os.execv(sys.executable, [*sys.orig_argv, f"--settings={LMS_SETTINGS}"])  # noqa: S606 - our own arguments
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Define where the events come from and how they are played."""
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--file",
            metavar="EVENTS",
            help='play these: JSON lines {"id": uuid, "time": ISO 8601, "type": name, "payload": {...}}, where id and '
            "time may be left out; - is standard input. Nothing is played when any line is wrong",
        )
        source.add_argument("--learners", metavar="N", type=_count, help="make up events of N learners, e.g. 100")
        _add_made_up_arguments(parser.add_argument_group("made-up events (with --learners)"))
        parser.add_argument(
            "--repeat", metavar="K", type=_count, default=1, help="play each event K times, with one id, e.g. 3"
        )
        parser.add_argument(
            "--rate",
            metavar="R",
            type=_rate,
            default=0.0,
            help="events per second, e.g. 50 (default: 0, as fast as possible)",
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print one JSON object with the counts, nothing else"
        )

    def handle(self, *, rate: float, as_json: bool, **options: Any) -> None:
        """Play the events, then report.

        1. read the file, if it is one; 2. see whether the bus answers; 3. publish one event after the other; 4. see
        whether the bus still holds what nobody has read.  May safely be repeated: events with the same ids (those of
        a file, or of a seed) change nothing a second time.
        """
        require_badges_enabled()
        events = self._events(options)
        with delivery() as bus:
            playing = Playing(bus)
            try:
                bus.ping()
                _play(playing, events, rate)
                self._print(playing, getattr(events, "seed", None), as_json)
                trimmed = bus.trimmed_unread()
            except (RedisError, BusUnavailable) as error:
                raise CommandError(_failure(error, playing, len(events))) from error
            except KeyboardInterrupt:
                raise CommandError(f"Interrupted; {playing.sent} of {len(events)} events were produced.") from None
        if trimmed:
            raise CommandError(
                f"Events were lost: the LMS's producer keeps about {settings.EVENT_BUS_REDIS_STREAM_MAX_LEN} of them "
                f"(EVENT_BUS_REDIS_STREAM_MAX_LEN), and these consumer groups had not read all: {', '.join(trimmed)}"
            )

    def _events(self, options: dict[str, Any]) -> Sequence[LmsEvent] | Generation:
        """The events to play; ends with status 1 when the file has an error."""
        if options["file"] is None:
            return _made_up(options)
        if misplaced := [name for name in _MADE_UP_ONLY if options[name] is not None and options[name] is not False]:
            option = misplaced[0].replace("_", "-")
            raise CommandError(f"--{option} goes with --learners, not with --file", returncode=2)
        try:
            events: list[LmsEvent] = _read(options["file"]) * options["repeat"]
        except DocumentError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        return events

    def _print(self, playing: Playing, seed: int | None, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**playing.counts(), "seed": seed}))
            return
        if seed is not None:
            self.stdout.write(f"Seed {seed}.")
        learners = len(playing.learners)
        self.stdout.write(f"Produced {playing.sent} events for {learners} learners in {playing.seconds:.1f} s.")


def _add_made_up_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--course",
        metavar="KEY",
        action="append",
        type=_course,
        help="for this course; may be given again; a ccx-v1: key makes CCX events, e.g. ccx-v1:A+B+C+ccx@1 "
        f"(default: {DEMO_COURSE})",
    )
    group.add_argument("--passing", action="store_true", help="each learner passes each course (the default)")
    group.add_argument(
        "--failing", action="store_true", help="each learner fails each course; with --passing: passes, then fails"
    )
    group.add_argument(
        "--seed", metavar="S", type=int, help="decides order and event ids, e.g. 7; printed (default: a random one)"
    )
    group.add_argument("--start-id", metavar="ID", type=_count, help="LMS user id of the first learner (default: 1)")


def _made_up(options: dict[str, Any]) -> Generation:
    outcomes = [passing for passing, chosen in ((True, options["passing"]), (False, options["failing"])) if chosen]
    return Generation(
        learners=options["learners"],
        courses=list(dict.fromkeys(options["course"] or [DEMO_COURSE])),
        outcomes=outcomes or [True],
        seed=secrets.randbelow(2**32) if options["seed"] is None else options["seed"],
        start_id=options["start_id"] or 1,
        repeat=options["repeat"],
    )


def _read(file: str) -> list[LmsEvent]:
    types = [name for name in settings.EVENT_BUS_PRODUCER_CONFIG if enabled_topics(name)]
    try:
        if file == "-":
            return read_events(sys.stdin, "-", types)
        with open(file, encoding="utf-8") as lines:
            return read_events(lines, file, types)
    except OSError as error:
        raise CommandError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"can't read {file}: it is not UTF-8") from error


def _play(playing: Playing, events: Sequence[LmsEvent] | Generation, rate: float) -> None:
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        playing.play(progress.track(events, total=len(events), description="Playing events"), rate)


def _failure(error: Exception, playing: Playing, total: int) -> str:
    reason = f"The event bus does not answer ({type(error).__name__})." if isinstance(error, RedisError) else str(error)
    setting = "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS" if is_kafka() else "EVENT_BUS_REDIS_CONNECTION_URL"
    return f"{reason} {playing.sent} of {total} events were produced. See {setting}."


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a whole number from 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a number from 0")
    return number


def _course(text: str) -> str:
    try:
        return str(course_key(text))
    except InvalidKeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is no course key") from None
