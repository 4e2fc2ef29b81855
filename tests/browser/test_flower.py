"""Flower's pages over a system at work: what people on call read there, and the pictures of `docs/flower.md`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.embedded.system import System
from tests.browser.screens import WIDE, Screens
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

COURSE = "course-v1:edX+CS50+2026"
STAGES = ("evaluate", "persist", "issue", "emit")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    processes = ("consumer", "worker", "credly", "beat", "flower")
    with System(tmp_path_factory.mktemp("system"), processes=processes, lms=False) as running:
        academy = Academy(running)
        academy.template([requirement("cs50", ("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE))])
        academy.play_and_wait(*(academy.passes(learner(), COURSE) for _ in range(8)))
        yield running


@pytest.fixture
def flower(browser: Browser, system: System) -> Iterator[Page]:
    """A page for somebody who is logged in."""
    user, _, password = system.flower_login.partition(":")
    login = {"username": user, "password": password}
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.flower_port}", viewport=WIDE, http_credentials=login
    )
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def screens(flower: Page, tmp_path: Path) -> Screens:
    """As those of the admin, see `tests/browser/conftest.py`."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return Screens(flower, folder)


def test_the_workers_are_there_and_nothing_can_be_done_to_them(flower: Page, screens: Screens):
    flower.goto("/workers")
    for worker in ("worker.1@", "credly.1@"):
        expect(flower.get_by_role("row").filter(has_text=worker)).to_contain_text("Online")
    screens.take("flower-workers")
    flower.get_by_role("link", name="worker.1@").first.click()
    expect(flower.locator("body")).to_contain_text("Pool")
    for command in ("Shut Down", "Restart Pool", "Grow", "Shrink"):
        expect(flower.get_by_text(command, exact=True)).to_have_count(0)


def test_the_list_of_tasks_tells_stage_and_id(flower: Page, screens: Screens):
    flower.goto("/tasks")
    expect(flower.get_by_role("row").filter(has_text="issue").first).to_contain_text("credly.1@")
    screens.take("flower-tasks")
    flower.get_by_role("row").filter(has_text="issue").get_by_role("link").last.click()
    flower.wait_for_url("**/task/*")
    expect(flower.locator("body")).to_contain_text("SUCCESS")
    screens.take("flower-task")
    for stage in STAGES:
        flower.goto(f"/tasks?name={stage}")
        expect(flower.get_by_role("row").filter(has_text=stage).first).to_contain_text("SUCCESS")


def test_the_broker_page_tells_what_waits(flower: Page, screens: Screens):
    def queues() -> set[str]:
        """Those of the workers that Flower has asked, which it does at its start and when it is told to."""
        flower.goto("/workers?refresh=1")
        flower.goto("/broker")
        return set(flower.locator("tbody tr td:first-child").all_inner_texts())

    wanted = {*STAGES, "housekeeping", "webhook"}
    eventually(lambda: wanted <= queues())
    screens.take("flower-broker")
