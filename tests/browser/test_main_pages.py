"""The main pages with learners, badges and trouble in them, on a desk and on a phone."""

from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page

from pipeline.embedded.system import System
from tests.browser.screens import PHONE, Screens
from tests.system.academy import Academy, learner, penalty, requirement

CS50, MATHS = "course-v1:edX+CS50+2026", "course-v1:edX+Maths+2026"
PASSED, FAILED = ("is_passing", "eq", "true"), ("is_passing", "eq", "false")
PAGES = {
    "dashboard": "/admin/",
    "status": "/",
    "organizations": "/admin/pipeline/organization/",
    "templates": "/admin/pipeline/template/",
    "learners": "/admin/pipeline/learner/",
    "badges": "/admin/pipeline/badge/",
    "events": "/admin/pipeline/event/",
    "signals": "/admin/pipeline/signal/",
    "webhooks": "/admin/pipeline/webhook/",
}
PICTURES_OF_TEMPLATES = "images.credly.example"
"""Where the emulator says that its templates' images are; no such host exists."""


@pytest.fixture(scope="module")
def _busy_academy(system: System) -> None:
    """Learners who pass and fail, and a Credly that refuses one of them for good."""
    academy = Academy(system)
    both = [requirement("cs50", PASSED, ("course.course_key", "eq", CS50), group="A")]
    both.append(requirement("maths", PASSED, ("course.course_key", "eq", MATHS), group="B"))
    takes_back = [penalty("cs50-failed", ["cs50"], FAILED, ("course.course_key", "eq", CS50))]
    academy.template(both, takes_back, name="Science pathway")
    academy.template([requirement("any-course", PASSED)], name="First course")
    people = [learner() for _ in range(30)]
    refused = {"match": {"method": "POST", "issuer_earner_id": str(people[7].id)}, "preset": "422-archived"}
    system.credly("POST", "faults", refused)
    events = [academy.passes(who, CS50) for who in people]
    events += [academy.passes(who, MATHS) for who in people[::2]]
    events += [academy.fails(who, CS50) for who in people[::5]]
    academy.play_and_wait(*events)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("_busy_academy")
def test_the_page_is_fit_for_a_desk_and_a_phone_and_asks_nobody_else(page: Page, screens: Screens, name: str):
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(urlparse(request.url).hostname or ""))
    answer = page.goto(PAGES[name])
    assert answer is not None
    assert answer.status == 200
    screens.take(name)
    page.set_viewport_size(PHONE)
    page.goto(PAGES[name])
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=PHONE["width"])
    assert hosts <= {"127.0.0.1", "", PICTURES_OF_TEMPLATES}
    assert [text for text in complaints if "ERR_NAME_NOT_RESOLVED" not in text] == []
