"""The long run: `python -m tests.faults --kills 1000 --seed 7`, or `make faults`.

Rounds of learners' events on a system whose processes are killed, stopped and paused at random moments and at named points,
whose broker forgets, whose Redis server is killed, full, or cut off, and whose Credly answers badly for a while.  After each
round everything must be as the oracle says.  Ends with status 1 if it is not.
"""

import argparse
import os
import platform
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import django
from rich.console import Console
from rich.progress import Progress

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
django.setup()

from tests.faults.cluster import LARGE, Cluster  # noqa: E402
from tests.faults.databases import KINDS  # noqa: E402
from tests.faults.points import POINTS  # noqa: E402
from tests.faults.storm import Storm, Tally  # noqa: E402
from tests.faults.witness import Kind  # noqa: E402

KILLS_PER_ROUND = 50
DOCUMENT = Path("docs/faults.md")
MARK = "<!-- The long run; written by `make faults ARGS=--write-docs`. -->\n"


def main() -> int:
    """Run, print, and return the exit status."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    started = time.monotonic()
    with Cluster(folder, numbers=LARGE, seed=options.seed, database=KINDS[options.database]) as cluster:
        storm = Storm(cluster, options.seed)
        _run(storm, options.kills, started + options.minutes * 60)
    table = _table(storm.tally, options.database, cluster.restarts, time.monotonic() - started)
    sys.stdout.write(f"{_command(options)}\n\n{table}")
    if storm.tally.violations:
        sys.stdout.write("\n".join(["", *map(str, storm.tally.violations), f"Logs: {folder}/logs", ""]))
        return 1
    shutil.rmtree(folder)
    if options.write_docs:
        before = DOCUMENT.read_text().partition(MARK)[0]
        DOCUMENT.write_text(f"{before}{MARK}\n```\n{_command(options)}\n```\n\n{table}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many at least (default: 1000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="default: a random one, printed")
    parser.add_argument("--minutes", type=float, default=60, help="no new round begins after that many (default: 60)")
    parser.add_argument("--database", choices=list(KINDS), default="sqlite", help="default: sqlite")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {DOCUMENT}")
    return parser.parse_args()


def _command(options: argparse.Namespace) -> str:
    database = "" if options.database == "sqlite" else f" --database {options.database}"
    return f"DEBUG=true .venv/bin/python -m tests.faults --kills {options.kills} --seed {options.seed}{database}"


def _run(storm: Storm, kills: int, until: float) -> None:
    """Rounds until there were enough kills, the time is over, or a round left something that spoils the next."""
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("Killing processes", total=kills)
        while storm.tally.kills < kills and time.monotonic() < until and not storm.tally.violations:
            storm.round(
                min(KILLS_PER_ROUND, kills - storm.tally.kills),
                tell=lambda: progress.update(bar, completed=storm.tally.kills),
            )


def _table(tally: Tally, database: str, restarts: int, seconds: float) -> str:
    """The summary in Markdown."""
    return "| | |\n| --- | --- |\n" + "".join(
        f"| {what} | {figure} |\n" for what, figure in _rows(tally, database, restarts, seconds)
    )


def _rows(tally: Tally, database: str, restarts: int, seconds: float) -> Iterator[tuple[str, object]]:
    broken = Counter(violation.kind for violation in tally.violations)
    yield "database", database
    yield "kills", tally.kills
    for (process, signal), number in sorted(tally.struck.items()):
        yield f"{signal} of {process}", number
    yield (
        "of these at a named point",
        f"{sum(tally.at_points.values())}, at {len(tally.at_points)} of {len(POINTS)} points",
    )
    yield "broker's memory wiped", tally.flushes
    for what, number in sorted(tally.database.items()):
        yield f"database: {what}", number
    for what, number in sorted(tally.redis.items()):
        yield f"Redis: {what}", number
    for what, number in sorted(tally.credly.items()):
        yield f"Credly: {what}", number
    yield "struck too often, set aside, and put back by `redrive`", tally.set_aside
    yield "processes started again", restarts
    yield "events", f"{tally.events}, delivered {tally.deliveries} times"
    yield "badges held in the end", tally.badges
    yield "signals", tally.signals
    for kind in Kind:
        yield f"**{kind.value}**", f"**{broken[kind]}**"
    yield "longest wait from the last fault of a round until nothing waited", f"{tally.longest_recovery:.0f} s"
    yield "wall time", f"{seconds / 60:.1f} min"
    yield "machine", f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
