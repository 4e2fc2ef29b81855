"""The alert rules and the dashboard: all they name exists, and each alert fires when its thing is broken, and no other does.

A system is scraped while it is well and again when something in it was broken.  Prometheus' own promtool then evaluates the
rules over two hours of the one and two hours of the other.  `.ci/promtool` gets it; without it those tests skip.
"""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from redis import Redis

from pipeline.embedded.redis import free_port
from pipeline.embedded.system import PROJECT
from tests.deploy.breaking import BREAKS, well
from tests.web.scraping import Scraped, scrape

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shared_redis")]

RULES = PROJECT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = PROJECT / "deploy" / "grafana" / "badges.json"
PAGE = PROJECT / "docs" / "monitoring.md"
PROMTOOL = shutil.which("promtool") or shutil.which(PROJECT / "var" / "tools" / "promtool")

PHASE_MINUTES = 120
"""How long the system is well, and then how long it is broken."""

KEPT_UP = 60
"""A time of less than so many seconds ago is one that somebody keeps up."""

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing; .ci/promtool gets it")


@pytest.fixture(autouse=True)
def open_to_all(settings: Any) -> None:
    settings.METRICS_OPEN = True


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules()}


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


def as_if(samples: list[Metric], minutes: range, at: float) -> dict[str, str]:
    """The series of a page that was scraped at a time, as promtool writes them, as if scraped in each of these minutes.

    A time that somebody keeps up goes on, any other stays what it was in the first of these minutes.
    """
    written: dict[str, str] = {}
    for family in samples:
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            value, step = sample.value, 0
            if family.name.endswith("_timestamp_seconds"):
                step = 60 if 0 <= at - value < KEPT_UP else 0
                value += minutes.start * 60 - at
            written[f"{sample.name}{{{labels}}}"] = f"{value}+{step}x{len(minutes) - 1}"
    return written


def firing(before: Scraped, after: Scraped | None, minute: float, expected: list[str], folder: Path) -> str:
    """Whether exactly these alerts fire at a minute; promtool's complaint if not."""
    first = as_if(before.families, range(PHASE_MINUTES), time.time())
    then = as_if(after.families if after else [], range(PHASE_MINUTES, 2 * PHASE_MINUTES), time.time())
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


def after_its_time(alert: str) -> float:
    """Some minutes after an alert has to fire when its thing was broken at the beginning of the second phase."""
    waits = {"m": 1, "h": 60}
    number, unit = re.fullmatch(r"(\d+)([mh])", ALERTS[alert].get("for", "0m")).groups()  # type: ignore[union-attr]
    return PHASE_MINUTES + int(number) * waits[unit] + 4


@needs_promtool
def test_while_all_is_well_no_alert_fires(shared_redis: Redis, monkeypatch, tmp_path):
    well(shared_redis)
    page = scrape(monkeypatch)
    assert firing(page, page, 2 * PHASE_MINUTES - 1, [], tmp_path) == ""
    assert "BadgesDiffer" in firing(page, page, 2 * PHASE_MINUTES - 1, ["BadgesDiffer"], tmp_path)  # who asks can fail


@needs_promtool
@pytest.mark.parametrize("alert", BREAKS)
def test_an_alert_fires_when_its_thing_is_broken_and_no_other_does(shared_redis: Redis, monkeypatch, tmp_path, alert):
    well(shared_redis)
    before = scrape(monkeypatch)
    BREAKS[alert](shared_redis)
    after = scrape(monkeypatch)
    assert firing(before, after, PHASE_MINUTES - 1, [], tmp_path) == ""
    assert firing(before, after, after_its_time(alert), [alert], tmp_path) == ""


@needs_promtool
def test_an_alert_fires_when_the_bus_is_away(shared_redis: Redis, monkeypatch, tmp_path, settings):
    well(shared_redis)
    before = scrape(monkeypatch)
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    alert = "BadgesPartAway"
    assert firing(before, scrape(monkeypatch), after_its_time(alert), [alert], tmp_path) == ""


@needs_promtool
def test_an_alert_fires_when_nothing_is_scraped_any_more(shared_redis: Redis, monkeypatch, tmp_path):
    well(shared_redis)
    alert = "BadgesNotScraped"
    assert firing(scrape(monkeypatch), None, after_its_time(alert), [alert], tmp_path) == ""


def test_every_alert_is_tried():
    assert {*BREAKS, "BadgesPartAway", "BadgesNotScraped"} == set(ALERTS)


@pytest.mark.parametrize("rule", rules(), ids=list(ALERTS))
def test_an_alert_says_how_grave_it_is_what_happened_and_where_to_read_on(rule):
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert all(rule["annotations"][text].endswith(".") for text in ("summary", "description"))
    assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in PAGE.read_text()


def test_what_rules_and_dashboard_ask_for_is_exported(monkeypatch):
    asked = " ".join([*(rule["expr"] for rule in rules()), *dashboard_expressions()])
    assert set(re.findall(r"\bbadges_\w+", asked)) <= scrape(monkeypatch).names


def test_the_page_on_monitoring_lists_what_is_exported_and_nothing_else(monkeypatch):
    listed = set(re.findall(r"^\| `(badges_\w+)", PAGE.read_text(), re.M))
    exported = {family.name + ("_total" if family.type == "counter" else "") for family in scrape(monkeypatch).families}
    assert listed == exported


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_rules_and_with_what_the_dashboard_asks(tmp_path):
    asked = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(dashboard_expressions())]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    for checked in (RULES, file):
        done = promtool("check", "rules", checked)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_panel_of_the_dashboard_has_its_own_place_and_number():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    covered = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) < 24
