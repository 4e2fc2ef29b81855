"""Alerts fire when parts of a running system are really taken away: stopped, killed or made to hang.

Its web process is scraped while all is well and again once the loss shows; promtool then goes on from there for two hours.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.system import System
from tests.deploy.evaluating import KEPT_UP, PHASE_MINUTES, firing, needs_promtool
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually
from tests.web.scraping import Scraped, read

pytestmark = [pytest.mark.system, needs_promtool]

COURSE = "course-v1:Alerts+Alerts+2026"


@dataclass(frozen=True)
class Site:
    """A system with its database server, and somebody who awards badges on it."""

    system: System
    database: PostgresServer
    academy: Academy

    def play(self) -> None:
        """Somebody earns a badge."""
        self.academy.play(self.academy.passes(learner(), COURSE))

    def scraped(self) -> Scraped:
        answer = requests.get(f"http://127.0.0.1:{self.system.port}/metrics", timeout=30)
        assert answer.status_code == 200
        return read(answer.text)

    def seen(self, shows: Callable[[Scraped], bool]) -> Scraped:
        """The page, as soon as it shows this."""

        def look() -> Scraped | None:
            page = self.scraped()
            return page if shows(page) else None

        page = eventually(look, seconds=120)
        assert page
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("alerts")
    database = PostgresServer(folder / "postgres")
    processes = ("web", "consumer", "worker", "credly", "beat")
    with System(folder, processes=processes, lms=False, database=database) as system:
        academy = Academy(system)
        academy.template([requirement("course", ("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE))])
        yield Site(system, database, academy)


def ups(page: Scraped) -> dict[str, float]:
    return {part: page.value("badges_up", part=part) for part in ("database", "bus", "measures")}


def keeps_up(page: Scraped, stage: str) -> bool:
    return any(page.at - time < KEPT_UP for time in page.values("badges_stage_last_run_timestamp_seconds", stage=stage))


def all_is_well(page: Scraped) -> bool:
    waits = ("badges_waiting", "badges_bus_unread", "badges_gate_closed")
    return (
        ups(page) == {"database": 1, "bus": 1, "measures": 1}
        and keeps_up(page, "beat")
        and keeps_up(page, "housekeeping")
        and not any(value for name in waits for value in page.values(name))
    )


@contextmanager
def stopped(site: Site, process: str) -> Iterator[None]:
    """Somebody stops it; meanwhile a badge is earned."""
    site.system.processes[process].stop()
    try:
        site.play()
        yield
    finally:
        site.system.processes[process].start()


@contextmanager
def key_refused(site: Site) -> Iterator[None]:
    match = {"organization": site.academy.organization}
    site.system.credly("POST", "faults", {"preset": "401", "match": match})
    try:
        site.play()
        yield
    finally:
        site.system.credly("DELETE", "faults")


@contextmanager
def redis_hangs(site: Site) -> Iterator[None]:
    """Broker and bus are one server."""
    server = site.system.redis.pid
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


@contextmanager
def database_killed(site: Site) -> Iterator[None]:
    site.database.kill()
    try:
        yield
    finally:
        site.database.start()


def beat_and_so_workers_are_silent(page: Scraped) -> bool:
    return not keeps_up(page, "beat") and not keeps_up(page, "housekeeping")


def only_workers_are_silent(page: Scraped) -> bool:
    return keeps_up(page, "beat") and not keeps_up(page, "housekeeping")


def others_go_on(page: Scraped) -> bool:
    return keeps_up(page, "beat") and keeps_up(page, "housekeeping")


Loss = tuple[list[str], Callable[[Site], AbstractContextManager[None]], Callable[[Scraped], bool]]

LOSSES: dict[str, Loss] = {
    "the consumer is stopped": (
        ["BadgesBusBehind"],
        lambda site: stopped(site, "consumer"),
        lambda page: others_go_on(page) and page.values("badges_bus_oldest_unread_seconds") > [0.0],
    ),
    "the worker is stopped": (
        ["BadgesEventsWait", "BadgesWorkOverdue", "BadgesWorkersDeaf"],
        lambda site: stopped(site, "worker"),
        lambda page: only_workers_are_silent(page) and page.value("badges_due", stage="evaluate") == 1,
    ),
    "the credly process is stopped": (
        ["BadgesWorkOverdue"],
        lambda site: stopped(site, "credly"),
        lambda page: others_go_on(page) and page.value("badges_oldest_due_seconds", stage="issue") > 0,
    ),
    "beat is stopped": (["BadgesBeatSilent"], lambda site: stopped(site, "beat"), beat_and_so_workers_are_silent),
    "Redis hangs": (
        ["BadgesPartAway"],
        redis_hangs,
        lambda page: ups(page) == {"database": 1, "bus": 0, "measures": 0},
    ),
    "the database is killed": (
        ["BadgesPartAway"],
        database_killed,
        lambda page: others_go_on(page) and ups(page) == {"database": 0, "bus": 0, "measures": 1},
    ),
    "Credly refuses the key": (
        ["BadgesKeyRefused"],
        key_refused,
        lambda page: others_go_on(page) and page.values("badges_gate_closed", reason="key_refused") == [1],
    ),
}
"""What is taken away, the alerts that tell, how it is done, and how it shows on the page."""


@pytest.mark.parametrize("loss", LOSSES)
def test_alerts_fire_when_a_part_of_a_running_system_is_lost_and_no_others_do(site: Site, tmp_path: Path, loss: str):
    alerts, lost, shows = LOSSES[loss]
    before = site.seen(all_is_well)
    with lost(site):
        after = site.seen(shows)
    end = 2 * PHASE_MINUTES - 1
    assert firing(before, before, end, [], tmp_path) == ""
    assert firing(before, after, end, alerts, tmp_path) == ""
