"""One call of the benchmarks: how large, on which databases, in which folder; and the command line of a single one."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

from benchmarks.conditions import conditions
from benchmarks.results import Result, Table
from benchmarks.stand import Stand

DATABASES = ("sqlite", "postgresql")
T = TypeVar("T")


@dataclass
class Session:
    """What all benchmarks of one call share.

    Args:
        quick: whether to look only if everything works, with figures of little weight.
        databases: to run on.
        folder: for the stands.
        progress: bars on standard error.
    """

    quick: bool
    databases: tuple[str, ...]
    folder: Path
    progress: Progress
    _stands: Iterator[int] = field(default_factory=lambda: count(1))

    def pick(self, full: T, quick: T) -> T:
        """One of the two sizes."""
        return quick if self.quick else full

    @property
    def runs(self) -> int:
        """How often each figure is taken."""
        return self.pick(3, 1)

    def enough(self, rate: float, most: int) -> int:
        """How many pieces of work make a run of some seconds at this rate, but no more than `most`."""
        return min(most, max(100, int(rate * self.pick(8, 2))))

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """The items, with a bar."""
        task = self.progress.add_task(what, total=len(items))
        for item in items:
            yield item
            self.progress.advance(task)
        self.progress.remove_task(task)

    @contextmanager
    def stand(self, database: str, processes: dict[str, int], **options: Any) -> Iterator[Stand]:
        """A stand that runs meanwhile; its folder stays only if something fails."""
        folder = self.folder / f"stand-{next(self._stands)}"
        with Stand(folder, database, processes, **options) as stand:
            yield stand
        shutil.rmtree(folder)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that each benchmark has."""
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, and roughly how fast")
    parser.add_argument(
        "--database", choices=DATABASES, help="on this database only (default: on both; --quick: on SQLite)"
    )


@contextmanager
def session(options: argparse.Namespace) -> Iterator[Session]:
    """A session as the command line wants it.  Its folder stays if it fails, for the logs."""
    folder = Path(tempfile.mkdtemp(prefix="benchmarks-"))
    databases = (options.database,) if options.database else DATABASES[:1] if options.quick else DATABASES
    with Progress(console=Console(stderr=True)) as progress:
        yield Session(options.quick, databases, folder, progress)
    shutil.rmtree(folder)


def main(measure: Callable[[Session], Result]) -> None:
    """Run one benchmark from the command line, print what it found, and save it."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    arguments(parser)
    with session(parser.parse_args()) as running:
        take(measure, running)


def take(measure: Callable[[Session], Result], running: Session) -> Result:
    """Run one benchmark, print what it found, and save it."""
    before = conditions() | {"runs": f"{running.runs}{' (quick)' if running.quick else ''}"}
    result = measure(running)
    result.conditions = before
    lines = [f"\n== {result.title}", *(f"{name}: {value}" for name, value in before.items()), ""]
    lines += [line for table in result.tables for line in _lines(table)]
    lines += [
        f"{'met' if t.met else 'MISSED'}: {t.what}: wanted {t.wanted}, reached {t.reached}" for t in result.targets
    ]
    print("\n".join([*lines, f"saved: {result.save()}"]), flush=True)
    return result


def _lines(table: Table) -> list[str]:
    widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
    rows = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [table.columns, *table.rows]
    ]
    return [table.heading, *rows, ""]
