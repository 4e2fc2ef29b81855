"""`docs/performance.md`: what was measured last, with the commands that measure it again.

What stands above the mark is written by hand and stays.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.charts import svg
from benchmarks.results import FOLDER, Result, Table, read

DOCUMENT = Path("docs/performance.md")
PICTURES = Path("docs/images/performance")
MARK = "<!-- Below: written by `make bench ARGS=--write-docs`. -->\n"


def write(names: Sequence[str]) -> None:
    """Put the results saved last into the document, in this order; those that were never taken are left out."""
    results = [read(file) for name in names if (file := FOLDER / f"{name}.json").exists()]
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    before = DOCUMENT.read_text().partition(MARK)[0]
    parts = [_targets(results), *map(_section, results)]
    DOCUMENT.write_text(before + MARK + "\n" + "\n".join(parts))


def _targets(results: Sequence[Result]) -> str:
    rows = [
        [target.what, target.wanted, target.reached, "met" if target.met else "**missed**"]
        for result in results
        for target in result.targets
    ]
    return "## Targets\n\n" + _markdown(Table("", ["", "wanted", "reached", ""], rows))


def _section(result: Result) -> str:
    about = result.about.strip().partition("\n\n")
    conditions = "; ".join(f"{name}: {value}" for name, value in result.conditions.items())
    parts = [
        f"## {result.title}\n",
        f"```\n.venv/bin/python -m benchmarks.{result.name}\n```\n",
        f"{about[0]}\n\n{about[2]}\n" if about[2] else f"{about[0]}\n",
    ]
    parts += [f"**{table.heading}**\n\n{_markdown(table)}" for table in result.tables]
    for number, chart in enumerate(result.charts, start=1):
        file = PICTURES / f"{result.name}-{number}.svg"
        file.write_text(svg(chart))
        parts.append(f"![{chart.heading}]({file.relative_to(DOCUMENT.parent)})\n")
    parts.append(f"<sub>{conditions}</sub>\n")
    return "\n".join(parts)


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---"] + ["---:"] * (len(table.columns) - 1), *table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
