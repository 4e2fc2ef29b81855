"""What a benchmark found: figures with their spread, tables, charts, and targets beside what was reached."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path("var/benchmarks")


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and the lowest and highest beside it."""
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


@dataclass
class Table:
    """Rows of texts under a heading; the first column says what, the others are figures."""

    heading: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(list(cells))


@dataclass
class Chart:
    """Lines through points, or bars: series of (x, y) by name.  `labels` name the bars' places and make it a bar chart."""

    heading: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    labels: list[str] = field(default_factory=list)
    logarithmic: bool = False


@dataclass
class Target:
    """What the project wants, and whether it was reached."""

    what: str
    wanted: str
    reached: str
    met: bool


@dataclass
class Result:
    """All that one benchmark found.

    Args:
        name: the benchmark's module.
        title: in a few words.
        about: how it was measured, for readers of the document.
    """

    name: str
    title: str
    about: str
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    """Every single measurement, by what was measured."""
    conditions: dict[str, str] = field(default_factory=dict)

    def table(self, heading: str, *columns: str) -> Table:
        """A new table."""
        self.tables.append(Table(heading, list(columns)))
        return self.tables[-1]

    def target(self, what: str, wanted: str, reached: str, met: bool) -> None:
        """Note a target."""
        self.targets.append(Target(what, wanted, reached, met))

    def note(self, key: str, value: float) -> None:
        """Keep one measurement."""
        self.figures.setdefault(key, []).append(value)

    def save(self) -> Path:
        """Write it to `var/benchmarks/<name>.json`; returns the file."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{self.name}.json"
        file.write_text(json.dumps(asdict(self), indent=1))
        return file


def read(file: Path) -> Result:
    """A result that was saved."""
    content: dict[str, Any] = json.loads(file.read_text())
    content["tables"] = [Table(**each) for each in content["tables"]]
    content["charts"] = [Chart(**each) for each in content["charts"]]
    content["targets"] = [Target(**each) for each in content["targets"]]
    return Result(**content)
