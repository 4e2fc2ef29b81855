"""How fast and how many at once Credly is called for one organization."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pipeline import counting, stages
from pipeline.configuration import gate, pace
from pipeline.embedded.redis import RedisServer
from pipeline.models import CredlyState, Organization
from tests.ledgers import builders
from tests.stages.conftest import issue, make_site

PROJECT = Path(__file__).resolve().parents[2]
NOBODY_LISTENS = "redis://127.0.0.1:1/0"
RATE = 4
MOST = RATE * pace.WINDOW_SECONDS

CALLER = """
import sys, uuid
import django
django.setup()
from pipeline.configuration import organizations, pace
from pipeline.models import Organization
academy = Organization(uuid=uuid.UUID(sys.argv[1]), api_key=sys.argv[2])
for _ in range(int(sys.argv[3])):
    if pace.may_call(academy):
        organizations.client(academy).organization()
"""


def somebody() -> Organization:
    return Organization(uuid=uuid4())


def allowed(organization: Organization, asked: int) -> int:
    return [pace.may_call(organization) for _ in range(asked)].count(True)


@pytest.fixture
def limited(redis_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A limit of `RATE` calls a second, counted in Redis."""
    settings.CREDLY_RATE_LIMIT = RATE
    settings.CELERY_BROKER_URL = redis_server.url
    monkeypatch.setattr(pace, "_calls", counting.Counter("Calls to Credly"))
    return redis_server


@pytest.fixture
def redis_is_away(limited: RedisServer, settings: Any) -> None:
    settings.CELERY_BROKER_URL = NOBODY_LISTENS


def test_calls_above_the_limit_are_not_made_and_each_organization_has_its_own(limited):
    for organization in (somebody(), somebody()):
        assert allowed(organization, MOST + 10) == MOST


def test_a_step_of_several_calls_is_let_through_whole_or_not_at_all(limited):
    organization = somebody()
    assert allowed(organization, MOST - 2) == MOST - 2
    assert not pace.may_call(organization, 3)
    assert pace.may_call(organization, 2)


def test_without_a_limit_every_call_is_made(limited, settings):
    settings.CREDLY_RATE_LIMIT = 0
    assert allowed(somebody(), MOST * 3) == MOST * 3


def test_while_redis_is_away_each_process_counts_for_itself_and_says_so_once(redis_is_away, caplog):
    organization = somebody()
    assert allowed(organization, MOST + 10) == MOST
    assert len([record for record in caplog.records if "counted per process" in record.message]) == 1


def test_where_the_broker_is_no_redis_that_of_the_event_bus_counts(limited, settings):
    settings.CELERY_BROKER_URL = "amqp://localhost"
    for url in (limited.url, "unix:///run/redis.sock"):
        settings.EVENT_BUS_REDIS_CONNECTION_URL = url
        assert counting.redis_url().endswith(url)


def test_of_several_at_once_no_more_than_the_setting_says_get_a_turn(settings):
    settings.CREDLY_CONCURRENCY_PER_ORGANIZATION = 1
    settings.CREDLY_RATE_LIMIT = 0
    one, other = somebody(), somebody()
    with pace.turn(one) as first, pace.turn(one) as second, pace.turn(other) as of_another:
        assert (first, second, of_another) == (True, False, True)
    with pace.turn(one) as afterwards:
        assert afterwards


@pytest.mark.django_db
def test_a_badge_above_the_limit_is_back_in_a_moment_and_no_attempt_is_counted(credly, limited):
    site, other = make_site(credly), make_site(credly)
    rows = [site.badge(error="said before") for _ in range(MOST + 2)]
    for row in rows:
        issue(row)
    assert len(site.calls()) == MOST
    held_back = [row for row in rows if row.credly_state == CredlyState.NONE]
    assert [(row.attempts, row.error, row.due_at is not None) for row in held_back] == [(0, "said before", True)] * 2
    of_another = other.badge()
    issue(of_another)
    assert of_another.credly_state == CredlyState.PENDING


@pytest.mark.django_db
def test_a_probe_above_the_limit_leaves_its_place(credly, limited):
    site = make_site(credly)
    allowed(site.organization, MOST)
    Organization.objects.update(gate_reason="failing", failures=10, call_again_at=builders.START)
    stages.issue(site.badge().pk)
    assert site.calls() == []
    assert gate.closed_until(Organization.objects.get()) is None


@pytest.mark.parametrize("rate", [RATE, 0], ids=["limited", "control without a limit"])
def test_the_limit_holds_over_two_processes(credly, redis_server, tmp_path, rate):
    academy = credly.academy()
    environment = {
        **os.environ,
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "pipeline.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "CELERY_BROKER_URL": redis_server.url,
        "CREDLY_RATE_LIMIT": str(rate),
        "CREDLY_USE_SANDBOX": "false",
        "CREDLY_API_BASE_URL": f"{credly.api}/",
    }
    command = [sys.executable, "-c", CALLER, academy.organization, academy.key, str(2 * MOST)]
    callers = [subprocess.Popen(command, cwd=PROJECT, env=environment) for _ in range(2)]
    assert [caller.wait(60) for caller in callers] == [0, 0]
    calls = credly.requests(organization=academy.organization)
    if rate:
        assert len(calls) >= MOST
        assert most_in_a_window(calls) <= MOST
    else:
        assert len(calls) == 4 * MOST


def most_in_a_window(calls: list[dict[str, Any]]) -> int:
    """The most calls within a window, taken a second shorter: a call arrives later than it was counted."""
    times = sorted(datetime.fromisoformat(call["time"]) for call in calls)
    window = timedelta(seconds=pace.WINDOW_SECONDS - 1)
    return max(sum(start <= time < start + window for time in times) for start in times)
