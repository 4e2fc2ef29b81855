"""The Content-Security-Policy: every page works under it, and what it forbids is not done."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page

from pipeline.embedded.system import System
from tests.system.academy import Academy, learner, requirement

COURSE = "course-v1:edX+CS50+2026"
ROWS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/)")
NOT_PAGES = ("/logout/", "/export/", "/jsi18n/", "/static/")
NOWHERE = "/no/such/page"
MOST_PAGES = 150


@pytest.fixture(scope="module")
def _busy_academy(system: System) -> None:
    academy = Academy(system)
    academy.template([requirement("cs50", ("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE))])
    academy.play_and_wait(*(academy.passes(learner(), COURSE) for _ in range(3)))


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser says about the policy, and errors of scripts that it kept from working."""
    heard: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and "ERR_NAME_NOT_RESOLVED" not in message.text:
            heard.append(f"{page.url}: {message.text}")

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(f"{page.url}: {error}"))
    return heard


def _links(page: Page) -> Iterator[str]:
    """Our pages that this one leads to."""
    for address in page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))"):
        target = urlsplit(urljoin(page.url, address))
        if target.netloc == urlsplit(page.url).netloc and not any(part in target.path for part in NOT_PAGES):
            yield target.path


@pytest.mark.usefixtures("_busy_academy")
def test_every_page_that_links_lead_to_works_under_the_policy(page: Page, complaints: list[str]):
    waiting, seen = ["/admin/", "/", NOWHERE], set[str]()
    while waiting:
        path = waiting.pop(0)
        kind = ROWS.sub("*", path)
        if kind in seen:
            continue
        seen.add(kind)
        answer = page.goto(path)
        assert answer is not None
        assert "default-src 'none'" in (answer.header_value("content-security-policy") or "")
        page.wait_for_load_state("networkidle" if path != "/" else "load")
        waiting += _links(page)
        assert len(seen) < MOST_PAGES, seen
    assert {"/admin/pipeline/badge/*/change/", "/admin/pipeline/template/*/try/", "/admin/auth/user/add/"} <= seen
    assert [line for line in complaints if NOWHERE not in line] == []


def test_what_drives_the_pages_still_runs(page: Page, complaints: list[str]):
    for path in ("/admin/pipeline/badge/", "/"):
        page.goto(path)
        assert page.locator("[x-data]").first.evaluate("element => '_x_dataStack' in element"), "Alpine does not run"
        assert page.evaluate("typeof htmx") == "object"
    assert complaints == []


@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/pipeline/learner/"])
def test_a_script_that_got_into_a_page_does_not_run(page: Page, path: str):
    page.goto(path)
    with page.expect_console_message(lambda message: "inline script" in message.text):
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "document.title = 'taken over'";
                document.body.append(script);
            }"""
        )
    with page.expect_console_message(lambda message: "inline event handler" in message.text):
        page.evaluate(
            """() => document.body.insertAdjacentHTML(
                "beforeend", '<img src="data:," onerror="document.title = \\'taken over\\'">')"""
        )
    assert page.title() != "taken over"


def test_nobody_may_frame_a_page_or_send_its_forms_elsewhere(page: Page):
    answer = page.goto("/admin/")
    assert answer is not None
    policy = answer.header_value("content-security-policy") or ""
    for directive in ("frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert directive in policy
    assert "https:" not in (page.request.get("/").headers["content-security-policy"])
