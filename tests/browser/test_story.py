"""An operator's first day, by clicking: from an empty system to a badge awarded, explained and revoked."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from pipeline.embedded.system import System
from pipeline.lms.events import PASSING
from tests.browser.screens import Screens
from tests.system.academy import Academy, learner
from tests.system.conditions import eventually

COURSES = {
    "cs50": "course-v1:edX+CS50+2026",
    "maths": "course-v1:edX+Maths+2026",
    "physics": "course-v1:edX+Physics+2026",
}
BADGE = "Science pathway"
OTHER_BADGE = "Lab safety"
REASON = "Awarded by mistake."


@pytest.fixture
def academy(system: System) -> Academy:
    """An organization that only Credly knows so far, with two templates; one of them Credly would issue twice."""
    made = Academy(system)
    for name, allow_duplicates in ((BADGE, False), (OTHER_BADGE, True)):
        template = {"name": name, "organization": made.organization, "allow_duplicate_badges": allow_duplicates}
        system.credly("POST", "templates", template)
    return made


def test_from_an_empty_system_to_a_badge_that_is_explained_and_revoked(
    page: Page, system: System, academy: Academy, screens: Screens
):
    _add_the_organization(page, academy)
    _sync_its_templates(page, screens)
    for slug, course in COURSES.items():
        _add_a_requirement(page, slug, course, screens)
    _add_a_penalty(page, "cs50")
    _try_an_event(page, screens)
    _add_a_richer_requirement(page, screens)
    _activate(page, screens)

    who = learner("Ada Byron")
    academy.play_and_wait(academy.passes(who, COURSES["maths"]))
    [badge] = academy_badges(system)
    assert (badge["issuer_earner_id"], badge["state"]) == (str(who.id), "pending")
    _find_the_learner(page, who.username)
    expect(content(page)).to_contain_text(re.compile(rf"Holds.*{BADGE}.*issued", re.DOTALL))
    screens.take("learner")

    _revoke(page, screens)
    eventually(lambda: [badge["state"] for badge in academy_badges(system)] == ["revoked"])
    system.wait_until_idle()
    _find_the_learner(page, who.username)
    expect(content(page)).to_contain_text(
        re.compile(rf"revoked by.*admin.*{re.escape(REASON)}", re.DOTALL | re.IGNORECASE)
    )
    told = eventually(lambda: system.received_signals() if len(system.received_signals()) > 1 else [])
    assert [signal["type"].split(".")[-2] for signal in told] == ["awarded", "revoked"]


def content(page: Page) -> Locator:
    return page.locator("body")


def academy_badges(system: System) -> list[dict[str, str]]:
    badges: list[dict[str, str]] = system.credly("GET", "ledger")["badges"]
    return badges


def _save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def _add_the_organization(page: Page, academy: Academy) -> None:
    page.get_by_role("link", name="Organizations").click()
    page.get_by_role("link", name="Add Credly organization").click()
    page.get_by_label("UUID").fill(academy.organization)
    page.get_by_label("API key").fill("no-such-key")
    _save(page)
    expect(content(page)).to_contain_text("Credly refuses this key: Unauthorized")
    page.get_by_label("API key").fill(academy.key)
    _save(page)
    expect(page.get_by_label("Name")).to_have_value("Academy")
    expect(content(page)).to_contain_text("stored, encrypted")
    assert academy.key not in page.content()


def _sync_its_templates(page: Page, screens: Screens) -> None:
    page.get_by_role("button", name="Sync templates").click()
    expect(content(page)).to_contain_text("2 added, 0 changed, 0 withdrawn, 0 unchanged")
    expect(content(page)).to_contain_text("safety net is off: Lab safety")
    screens.take("organization")


def _open_the_template(page: Page, name: str = BADGE) -> None:
    page.get_by_role("link", name="Templates").first.click()
    page.get_by_role("link", name=name).first.click()
    expect(content(page)).to_contain_text("The whole rule")


def _row(page: Page, number: int) -> Locator:
    """One rule of the editor."""
    return page.get_by_role("row").filter(has=page.locator(f"#id_rules-{number}-data_path"))


def _offered(page: Page, number: int, label: str) -> list[str]:
    """What a select of a rule of the editor offers."""
    options = _row(page, number).get_by_label(label).locator("visible=true").locator("option")
    return [option.strip() for option in options.all_inner_texts()]


def _fill_condition(page: Page, slug: str, passing: str, course: str) -> None:
    page.get_by_label("Id", exact=True).fill(slug)
    page.get_by_label("Event type").select_option("org.openedx.learning.ccx.course.passing.status.updated.v1")
    assert any("ccx_course_key" in path for path in _offered(page, 0, "key path"))
    page.get_by_label("Event type").select_option(PASSING)
    assert not any("ccx_course_key" in path or "email" in path for path in _offered(page, 0, "key path"))
    _row(page, 0).get_by_label("key path").select_option("is_passing")
    _row(page, 0).get_by_label("value").locator("visible=true").select_option(passing)
    _row(page, 1).get_by_label("key path").select_option("course.course_key")
    _row(page, 1).get_by_label("value").locator("visible=true").fill(course)


def _add_a_requirement(page: Page, slug: str, course: str, screens: Screens) -> None:
    _open_the_template(page)
    page.get_by_role("link", name="Add requirement").click()
    _fill_condition(page, slug, "true", course)
    page.get_by_label("Group").select_option("A")
    screens.take("requirement")
    _save(page)
    expect(content(page)).to_contain_text("The whole rule")
    expect(page.get_by_role("row").filter(has_text=course)).to_contain_text(slug)


def _add_a_penalty(page: Page, takes_back: str) -> None:
    page.get_by_role("link", name="Add penalty").click()
    _fill_condition(page, f"{takes_back}-failed", "false", COURSES[takes_back])
    page.get_by_label(takes_back).check()
    _save(page)
    expect(content(page)).to_contain_text("Requirements needed: cs50 or maths or physics")


def _try_an_event(page: Page, screens: Screens) -> None:
    page.get_by_role("link", name="Try it").click()
    page.locator("[name=payload]").fill('{"is_passing": tru')
    page.get_by_role("button", name="Try it").click()
    expect(content(page)).to_contain_text(re.compile("line 1, column", re.IGNORECASE))
    page.get_by_role("button", name="Insert an example of this type").click()
    page.get_by_role("button", name="Try it").click()
    expect(content(page)).to_contain_text("deactivated")
    screens.take("try-it")


def _add_a_richer_requirement(page: Page, screens: Screens) -> None:
    """On the other template: the operators follow the key path, the value's field follows both; then it counts."""
    _open_the_template(page, OTHER_BADGE)
    page.get_by_role("link", name="Add requirement").click()
    page.get_by_label("Id", exact=True).fill("series")
    page.get_by_label("Event type").select_option(PASSING)
    _row(page, 0).get_by_label("key path").select_option("is_passing")
    assert _offered(page, 0, "operator") == ['"=" (equals)', '"!=" (not equals)', "is there"]
    _row(page, 0).get_by_label("operator").select_option("exists")
    assert _offered(page, 0, "value") == ["Choose", "yes, there is a value", "no, there is none"]
    _row(page, 0).get_by_label("operator").select_option("eq")
    _row(page, 0).get_by_label("value").locator("visible=true").select_option("true")
    _row(page, 1).get_by_label("key path").select_option("course.course_key")
    assert not any("greater" in operator for operator in _offered(page, 1, "operator"))
    _row(page, 1).get_by_label("operator").select_option("in")
    _row(page, 1).get_by_label("value").locator("visible=true").fill("\n".join(COURSES.values()))
    page.get_by_text("More than one event, time, order").click()
    page.get_by_label("How many").fill("2")
    page.get_by_label("Of different").select_option("course.course_key")
    page.get_by_label("Within").fill("soon")
    page.get_by_label("From").fill("2026-03-01")
    page.get_by_label("Until").fill("2026-06-30")
    _save(page)
    expect(content(page)).to_contain_text("“soon” is no length of time.")
    page.get_by_label("Within").fill("90d")
    _save(page)
    expect(content(page)).to_contain_text("Awarded when the learner passes 2 different courses of")
    expect(content(page)).to_contain_text("within 90 days, from 1 Mar 2026 until 30 Jun 2026.")
    page.get_by_label("One badge per").select_option("course.course_key")
    _save(page)
    expect(content(page)).to_contain_text("“series” asks for events that differ in course.course_key")
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_label("Within")).to_have_value("90d")
    screens.take("richer-requirement")


def _activate(page: Page, screens: Screens) -> None:
    _open_the_template(page)
    page.get_by_label("Active").check()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_label("Active")).to_be_checked()
    screens.take("template")


def _find_the_learner(page: Page, username: str) -> None:
    page.get_by_role("link", name="Learners").click()
    page.get_by_role("searchbox").or_(page.locator("#searchbar")).first.fill(username)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile(rf"^({username}|\d+)$")).first.click()
    expect(content(page)).to_contain_text(username)


def _revoke(page: Page, screens: Screens) -> None:
    page.get_by_role("link", name="Badge", exact=True).click()
    screens.take("badge")
    page.get_by_role("button", name="Revoke with reason").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(content(page)).to_contain_text("This field is required")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(content(page)).to_contain_text(re.compile("1 badge", re.IGNORECASE))
