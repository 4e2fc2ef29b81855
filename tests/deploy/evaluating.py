"""Which alerts fire, by Prometheus' own promtool, in a system that was scraped while it was well and when it was broken."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.embedded.system import PROJECT
from tests.web.scraping import Scraped

RULES = PROJECT / "deploy" / "prometheus" / "alerts.yml"
PROMTOOL = shutil.which("promtool") or shutil.which(PROJECT / "var" / "tools" / "promtool")

PHASE_MINUTES = 120
"""How long the system is well, and then how long it is broken."""

KEPT_UP = 20
"""A time of less than so many seconds ago is one that somebody keeps up: beat sends every five, and is heard as often."""

GROWING = ("badges_oldest_due_seconds", "badges_bus_oldest_unread_seconds")
"""Ages of what waits."""

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("CI"), reason="promtool is missing; .ci/promtool gets it"
)


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL, "promtool is missing; .ci/promtool gets it"
    return subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


def as_if(page: Scraped, minutes: range) -> dict[str, str]:
    """The series of a page, as promtool writes them, as if scraped in each of these minutes.

    A time that somebody keeps up goes on, and so does an age; all else stays what it was in the first of these minutes.
    """
    written: dict[str, str] = {}
    for family in page.families:
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            value, step = sample.value, 0
            if family.name.endswith("_timestamp_seconds"):
                step = 60 if 0 <= page.at - value < KEPT_UP else 0
                value += minutes.start * 60 - page.at
            elif family.name in GROWING and value > 0:
                step = 60
            written[f"{sample.name}{{{labels}}}"] = f"{value}+{step}x{len(minutes) - 1}"
    return written


def firing(before: Scraped, after: Scraped | None, minute: float, expected: list[str], folder: Path) -> str:
    """Whether exactly these alerts fire at a minute; promtool's complaint if not."""
    first = as_if(before, range(PHASE_MINUTES))
    then = as_if(after, range(PHASE_MINUTES, 2 * PHASE_MINUTES)) if after else {}
    gone, not_yet = "stale", f"_x{PHASE_MINUTES}"
    series = [{"series": name, "values": f"{first.get(name, not_yet)} {then.get(name, gone)}"} for name in first | then]
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute:.0f}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = promtool("test", "rules", file)
    return "" if done.returncode == 0 else done.stdout + done.stderr
