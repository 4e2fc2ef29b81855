"""The command `demo`."""

import argparse
import secrets
import signal
import sys
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from pipeline.demo.folder import new_folder
from pipeline.demo.run import run
from pipeline.demo.scenario import FEWEST_LEARNERS, Badges, build
from pipeline.settings import VAR_DIR

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


class Command(BaseCommand):
    """Start the whole system on this machine, play learner events through it, and see that all came as expected."""

    help = (
        "Start the whole system on this machine (a Redis server, SQLite, a Credly emulator, an LMS side, every process of "
        "the Procfile), play learner events through it while Credly fails now and then, and compare every badge and "
        "signal with what must come of it. Exit status 0 only if all agree. Example: ./manage.py demo --keep"
    )
    # The demo's processes have settings and a database of their own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define `--learners`, `--seed` and `--keep`."""
        parser.add_argument(
            "--learners", metavar="N", type=_learners, default=200, help="how many (default: %(default)s)"
        )
        parser.add_argument(
            "--seed",
            metavar="S",
            type=int,
            help="decides event ids, order, repeats and failures, e.g. 7; printed (default: a random one)",
        )
        parser.add_argument(
            "--keep", action="store_true", help="leave everything running and say where it is; Ctrl-C ends it"
        )

    def handle(self, *, learners: int, seed: int | None, keep: bool, **_: Any) -> None:
        """Run it; ends with status 1 when anything differs, and 130 when interrupted."""
        now = datetime.now(UTC)
        badges = Badges.load()
        scenario = build(learners, secrets.randbelow(2**32) if seed is None else seed, badges, now)
        folder = new_folder(VAR_DIR, now)
        for number in INTERRUPTIONS:
            signal.signal(number, _interrupt)
        try:
            as_expected = run(scenario, badges, folder, Console(file=sys.stdout), keep_running=keep)
        except KeyboardInterrupt:
            self.stderr.write(f"Interrupted; all is stopped. The logs are in {folder / 'logs'}")
            sys.exit(INTERRUPTED)
        except (RuntimeError, TimeoutError) as error:
            raise CommandError(f"{error}\nThe logs are in {folder / 'logs'}") from error
        if not as_expected:
            sys.exit(1)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """End the demo with everything that it started; that takes seconds, in which another Ctrl-C must not stop it."""
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _learners(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_LEARNERS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; every story needs a learner, so at least {FEWEST_LEARNERS}"
        )
    return int(text)
