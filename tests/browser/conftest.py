"""A real Chromium, driven over a running system."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from pipeline.embedded.system import System
from tests.browser.screens import WIDE, Screens

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PASSWORD = "only-for-this-run-4711"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.system)


def _no_browser() -> NoReturn:
    reason = f"no browser: none of {', '.join(NAMES)} is installed (.ci/browser installs one on Debian and Ubuntu)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module only: while Playwright runs, its event loop keeps tests of others in this process from the database."""
    program = next(filter(None, map(shutil.which, NAMES)), None) or _no_browser()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    processes = ("web", "consumer", "worker", "credly", "beat")
    with System(tmp_path_factory.mktemp("system"), processes=processes) as running:
        running.manage(
            "createsuperuser",
            "--no-input",
            "--username",
            "admin",
            "--email",
            "admin@staff.example",
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )
        yield running


@pytest.fixture
def context(browser: Browser, system: System) -> Iterator[BrowserContext]:
    """A browser in which nobody is logged in."""
    fresh = browser.new_context(base_url=f"http://127.0.0.1:{system.port}", viewport=WIDE)
    fresh.set_default_timeout(15_000)
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page on which the administrator has just logged in."""
    page = context.new_page()
    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    return page


@pytest.fixture
def screens(page: Page, tmp_path: Path) -> Screens:
    """Pictures go to `docs/images` when asked to renew them (`make screenshots`), else to a folder of the run."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return Screens(page, folder)
