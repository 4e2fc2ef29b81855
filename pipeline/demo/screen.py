"""What people see while the demo runs, and at its end."""

import time
from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

LINE_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""

Row = tuple[str, int, int]
"""What was counted, the expected number, and the number found."""


class Screen:
    """Progress as bars on a terminal, else as a line now and then.  Use as a context manager around the bars' time.

    Args:
        console: where it is shown.
        totals: the number at the end of each bar, by its title.
    """

    def __init__(self, console: Console, totals: Mapping[str, int]) -> None:
        self.console = console
        self._totals = totals
        self._last_line = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {title: self._bars.add_task(title, total=total) for title, total in totals.items()}

    def say(self, text: str) -> None:
        """One line for people."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, levels: Mapping[str, int]) -> None:
        """How far each bar is, by title."""
        for title, level in levels.items():
            self._bars.update(self._tasks[title], completed=level)
        if not self.console.is_terminal and time.monotonic() - self._last_line > LINE_EVERY:
            self._last_line = time.monotonic()
            self.say("  " + ", ".join(f"{title}: {level}/{self._totals[title]}" for title, level in levels.items()))

    def table(self, rows: Sequence[Row], remarks: Mapping[str, str]) -> None:
        """The summary: what was expected and what was found, then remarks by title."""
        table = Table(title="Badges pipeline demo", title_justify="left")
        table.add_column("")
        table.add_column("expected", justify="right")
        table.add_column("found", justify="right")
        for title, expected, found in rows:
            style = "green" if expected == found else "bold red"
            table.add_row(title, str(expected), f"[{style}]{found}[/{style}]")
        table.add_section()
        for title, remark in remarks.items():
            table.add_row(title, "", remark)
        self.console.print(table)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
