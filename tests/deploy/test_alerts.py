"""The alert rules and the dashboard: all they name exists, and each alert fires when its thing is broken, and no other does.

A system is scraped while it is well and again when something in it was broken.  Prometheus' own promtool then evaluates the
rules over two hours of the one and two hours of the other.  `.ci/promtool` gets it; without it those tests skip.
"""

import json
import re
from typing import Any

import pytest
import yaml
from redis import Redis

from pipeline.embedded.redis import free_port
from pipeline.embedded.system import PROJECT
from tests.deploy.breaking import BREAKS, ran, well
from tests.deploy.evaluating import PHASE_MINUTES, RULES, firing, needs_promtool, promtool, rules
from tests.web.scraping import scrape

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shared_redis")]

DASHBOARD = PROJECT / "deploy" / "grafana" / "badges.json"
PAGE = PROJECT / "docs" / "monitoring.md"


@pytest.fixture(autouse=True)
def open_to_all(settings: Any) -> None:
    settings.METRICS_OPEN = True


ALERTS = {rule["alert"]: rule for rule in rules()}


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


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
def test_workers_that_never_ran_are_noticed_too(shared_redis: Redis, monkeypatch, tmp_path):
    ran(shared_redis, beat=3)
    page = scrape(monkeypatch)
    assert firing(page, page, 10, ["BadgesWorkersDeaf"], tmp_path) == ""


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
