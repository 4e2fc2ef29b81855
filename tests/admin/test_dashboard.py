"""The first page: the funnel, what needs attention, the charts; and the frame of every page."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from pipeline.admin.attention import MANY_ATTEMPTS
from pipeline.bus.streams import StreamReader
from pipeline.embedded.redis import RedisServer, free_port
from pipeline.ledgers import outbox
from pipeline.models import ConsumerGroup, Discrepancy, DiscrepancyKind, Event, Gap, Signal, Template, Webhook
from tests.bus.examples import fields
from tests.ledgers.builders import (
    TOPIC,
    badge,
    course_template,
    deliver,
    held_badge,
    lms_learner,
    organization,
    passes,
    received,
    template,
)

pytestmark = pytest.mark.django_db

GROUP = "credentials_dev"
LONG_AGO = timedelta(minutes=20)


@pytest.fixture(autouse=True)
def bus(redis_server: RedisServer, settings: Any) -> Iterator[StreamReader]:
    """The topic's stream with our group on it, nothing unread; and badges are switched on."""
    settings.BADGES_ENABLED = True
    settings.EVENT_BUS_REDIS_CONNECTION_URL = redis_server.url
    settings.EVENT_BUS_TOPIC_PREFIX = "dashboard"
    reader = StreamReader(TOPIC, GROUP, "one")
    reader._client.flushdb()
    reader.ensure_group()
    ConsumerGroup.objects.create(topic=TOPIC, group=GROUP)
    yield reader
    reader.close()


def first_page(client: Client, **query: Any) -> Any:
    answer = client.get(reverse("admin:index"), query)
    assert answer.status_code == 200
    return answer


def findings(client: Client) -> dict[str, int | None]:
    """What needs attention by its title, with the number."""
    return {str(found.title): found.number for found in first_page(client).context["findings"]}


def listed(client: Client, url: str) -> int:
    """How many rows the list at this address has."""
    answer = client.get(url)
    assert answer.status_code == 200, url
    return answer.context["cl"].queryset.count()


def event(status: str, **changes: Any) -> None:
    [pk] = received(passes(lms_learner(), 1))
    Event.objects.filter(pk=pk).update(status=status, **changes)


def signal(state: str, **changes: Any) -> None:
    [pk] = outbox.write(badge(due_at=None), outbox.AWARDED)
    Signal.objects.filter(pk=pk).update(state=state, due_at=changes.get("due_at"))


def webhook(**changes: Any) -> None:
    Webhook.objects.create(organization=organization(), event=uuid4(), event_type="badge.state.changed", **changes)


def gap(**changes: Any) -> None:
    Gap.objects.create(topic=TOPIC, group=GROUP, after=str(uuid4()), before="9-0", messages=3, **changes)


def discrepancy(**changes: Any) -> None:
    Discrepancy.objects.create(
        organization=organization(), kind=DiscrepancyKind.MISSING, found_at=timezone.now(), **changes
    )


CAUSES: dict[str, Callable[[], Any]] = {
    "Failed events": lambda: event("failed"),
    "Events not evaluated for 15 minutes": lambda: event("received", received_at=timezone.now() - LONG_AGO),
    "Failed badges": lambda: badge(credly_state="failed", due_at=None),
    "Failed revocations": lambda: badge(credly_state="failed", standing="revoked", credly_id=uuid4(), due_at=None),
    "Revoked badges set aside": lambda: badge(credly_state="failed", standing="revoked", taken_up=4, due_at=None),
    "Badges tried again and again": lambda: badge(attempts=MANY_ATTEMPTS),
    "Badges due for 15 minutes": lambda: badge(due_at=timezone.now() - LONG_AGO),
    "Failed signals": lambda: signal("failed"),
    "Signals due for 15 minutes": lambda: signal("pending", due_at=timezone.now() - LONG_AGO),
    "Webhooks due for 15 minutes": lambda: webhook(due_at=timezone.now() - LONG_AGO),
    "Organizations without a working key": lambda: organization(
        gate_reason="key refused", gate_closed_at=timezone.now()
    ),
    "Organizations that Credly fails": lambda: organization(gate_reason="failing"),
    "Organizations of which Credly asked for fewer calls": lambda: organization(gate_reason="throttled"),
    "Organizations whose last sync failed": lambda: organization(sync_error="Credly did not answer"),
    "Active templates that are not active at Credly": lambda: template(state="archived"),
    "Active templates that allow duplicates": lambda: template(allows_duplicates=True),
    "Active templates with one badge per value that Credly allows once": lambda: template(
        per="course.course_key", synced_at=timezone.now()
    ),
    "Refused webhooks in 7 days": lambda: webhook(state="refused"),
    "Gaps of the event bus": lambda: gap(),
    "Discrepancies to Credly": lambda: discrepancy(),
    "API keys that expire soon": lambda: organization(key_expires_at=timezone.now() + timedelta(days=3)),
}
HARMLESS: dict[str, Callable[[], Any]] = {
    "processed event": lambda: event("processed", received_at=timezone.now() - LONG_AGO),
    "new event": lambda: event("received"),
    "badge to be issued": lambda: badge(),
    "badge to be tried again": lambda: badge(attempts=3, due_at=timezone.now() + timedelta(minutes=5)),
    "badge that never was at Credly": lambda: badge(credly_state="failed", standing="revoked", due_at=None),
    "sent signal": lambda: signal("sent"),
    "settled gap": lambda: gap(settled_at=timezone.now()),
    "discrepancy with its repair queued": lambda: discrepancy(repair_queued_at=timezone.now()),
    "handled webhook": lambda: webhook(state="handled"),
    "organization": lambda: organization(key_expires_at=timezone.now() + timedelta(days=90)),
    "inactive template": lambda: template(active=False, state="archived", allows_duplicates=True),
    "template with a badge per value": lambda: template(
        per="course.course_key", allows_duplicates=True, synced_at=timezone.now()
    ),
    "template with a badge per value that no sync has seen": lambda: template(per="course.course_key"),
}


def test_when_all_is_well_it_says_so(administrator):
    for cause in HARMLESS.values():
        cause()
    page = first_page(administrator)
    assert page.context["findings"] == []
    assert "All is well" in page.text


@pytest.mark.parametrize("title", CAUSES)
def test_what_needs_attention_is_told_with_its_number_and_the_list_behind_it(administrator, title):
    for cause in HARMLESS.values():
        cause()
    CAUSES[title]()
    CAUSES[title]()
    page = first_page(administrator)
    [found] = page.context["findings"]
    assert (str(found.title), found.number) == (title, 2)
    assert str(found.advice).endswith(".")
    assert f'href="{found.url.replace("&", "&amp;")}"' in page.text
    if title != "API keys that expire soon":
        assert listed(administrator, found.url) == 2


def test_a_template_that_is_no_more_active_here_or_a_forgery_of_last_week_needs_nobody(administrator):
    for cause in ("Active templates that are not active at Credly", "Refused webhooks in 7 days"):
        CAUSES[cause]()
    Template.objects.update(active=False)
    Webhook.objects.update(received_at=timezone.now() - timedelta(days=8))
    assert findings(administrator) == {}


def test_each_number_of_the_funnel_is_that_of_the_list_behind_it(administrator):
    course_template()
    deliver(passes(lms_learner(), 1))
    deliver(passes(lms_learner(), 1, "course-v1:Nobody+Asked+1"))
    event("failed")
    held_badge()
    badge(credly_state="failed", due_at=None)
    badge(standing="revoked", credly_state="revoked", due_at=None)
    signal("sent")
    steps = first_page(administrator).context["steps"]
    numbers = {str(step.title): step.number for step in steps}
    assert numbers == {
        "Events": 3,
        "Matched": 1,
        "Fulfilled": 1,
        "Awarded": 4,
        "At Credly": 1,
        "Signals sent": 1,
    }
    assert [listed(administrator, step.url) for step in steps] == list(numbers.values())
    assert all(str(step.meaning).endswith(".") for step in steps)


def test_while_the_bus_does_not_answer_it_says_so(administrator, settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert findings(administrator) == {"The event bus does not answer": None}


def test_unread_messages_need_attention_before_the_lms_may_trim_them(administrator, settings, bus):
    settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 4
    for _ in range(3):
        bus._client.xadd(bus.stream, fields())
    assert findings(administrator) == {"Unread messages on the event bus": 3}
    settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 10_000
    cache.clear()
    assert findings(administrator) == {}


def test_it_says_that_badges_are_switched_off(administrator, settings):
    settings.BADGES_ENABLED = False
    assert findings(administrator) == {"Badges are switched off": None}


def test_the_charts_are_also_tables(administrator):
    event("processed"), event("processed"), event("failed")
    page = first_page(administrator)
    today = date_format(timezone.now())
    row = re.search(rf'<th scope="row"[^>]*>{today}</th>(.*?)</tr>', page.text, re.DOTALL)
    assert re.findall(r"<td[^>]*>(\d+)</td>", row[1]) == ["0", "2", "0", "1"]
    assert 'role="img" aria-label="Events received per day' in page.text


@pytest.mark.parametrize(("given", "shown"), [("14", 14), ("30", 30), ("", 14), ("31", 14), ("-1", 14), ("x", 14)])
def test_the_charts_show_14_or_30_days(administrator, given, shown):
    page = first_page(administrator, days=given)
    assert [len(chart.trend.days) for chart in page.context["charts"]] == [shown, shown]


def test_numbers_are_counted_once_for_many_who_look(administrator, viewer):
    first_page(administrator)
    badge()
    with CaptureQueriesContext(connection) as queries:
        assert {step.number for step in first_page(viewer).context["steps"]} == {0}
    assert not [query for query in queries if "COUNT(" in query["sql"]]


def test_the_number_of_queries_does_not_grow(administrator):
    def queries() -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            first_page(administrator)
        return len(captured)

    for cause in (*CAUSES.values(), *HARMLESS.values()):
        cause()
    before = queries()
    for cause in (*CAUSES.values(), *HARMLESS.values()):
        cause()
    assert queries() == before


def test_viewers_see_all_numbers(viewer, administrator):
    CAUSES["Failed badges"]()
    assert findings(viewer) == findings(administrator)
    assert len(first_page(viewer).context["steps"]) == 6


def test_the_sidebar_counts_what_is_urgent_and_has_staff_only_for_who_may_see_them(viewer, administrator):
    CAUSES["Failed badges"]()
    CAUSES["Failed badges"]()
    CAUSES["Active templates that allow duplicates"]()
    pages = administrator.get(reverse("admin:pipeline_learner_changelist"))
    groups = {str(group["title"]): group["items"] for group in pages.context["sidebar_navigation"]}
    counted = {str(item["title"]): item["badge"] for items in groups.values() for item in items if "badge" in item}
    assert counted == {"Badges": "2 to check"}
    assert [str(item["title"]) for item in groups["Staff"]] == ["Users", "Groups"]
    groups = viewer.get(reverse("admin:index")).context["sidebar_navigation"]
    assert [str(group["title"]) for group in groups if group["items"]] == ["Overview", "Configuration", "Ledgers"]


def test_every_page_with_a_list_is_in_the_sidebar(administrator):
    links = set(re.findall(r'href="(/admin/[^"?]+/)"', first_page(administrator).text))
    for model in admin.site._registry:
        assert reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") in links


@pytest.mark.parametrize(
    ("credly", "label"),
    [
        ({"USE_SANDBOX": True}, "Credly sandbox"),
        ({"USE_SANDBOX": False}, "Credly production"),
        (
            {"USE_SANDBOX": True, "CREDLY_SANDBOX_API_BASE_URL": "http://127.0.0.1:4711/v1/"},
            "Credly sandbox: 127.0.0.1:4711",
        ),
        ({"CREDLY_API_BASE_URL": "https://proxy.example/v1/"}, "Credly production: proxy.example"),
    ],
)
def test_every_page_says_which_credly_is_called(administrator, settings, credly, label):
    config = settings.BADGES_CONFIG
    settings.BADGES_CONFIG = config | {"credly": config["credly"] | credly}
    for name in ("admin:index", "status", "admin:pipeline_badge_changelist"):
        page = administrator.get(reverse(name)).text
        assert re.search(rf">\s*{re.escape(label)}\s*</", page), name


def test_no_page_loads_or_links_to_anything_elsewhere(administrator):
    pages = [administrator.get(reverse(name)).text for name in ("admin:index", "status", "admin:auth_user_changelist")]
    pages.append(Client().get(reverse("admin:login")).text)
    for page in pages:
        assert re.findall(r'(?:src|href|action|hx-get)="([^"]*)"', page)
        assert not re.findall(r'(?:src|href|action|hx-get)="((?:https?:)?//[^"]*)"', page)


def test_without_javascript_pages_are_not_hidden(administrator):
    """Unfold hides the whole page until its script has run."""
    for page in (first_page(administrator).text, Client().get(reverse("admin:login")).text):
        [noscript] = re.findall(r'<noscript><link href="([^"]+)"', page)
        assert noscript.endswith("badges/noscript.css")


def done(client: Client) -> list[bool]:
    return [step.done for step in first_page(client).context["first_steps"]]


def test_an_empty_system_shows_the_first_steps_and_ticks_what_is_done(operator):
    assert done(operator) == [False, False, False, False, False]
    owner = organization()
    assert done(operator) == [True, False, False, False, False]
    template(owner, active=False)
    assert done(operator) == [True, True, False, False, False]
    course_template(owner, active=False)
    assert done(operator) == [True, True, True, False, False]
    page = first_page(operator)
    for step in page.context["first_steps"]:
        assert f'href="{step.url}"' in page.text
        assert operator.get(step.url).status_code == 200
    Template.objects.update(active=True)
    assert done(operator) == []


def test_the_first_steps_are_shown_to_who_may_go_them(viewer):
    assert done(viewer) == []


def test_an_empty_list_says_that_its_rows_come_by_themselves_or_how_to_add_one(operator):
    events = operator.get(reverse("admin:pipeline_event_changelist"))
    assert "There are no events. New ones appear here by themselves." in events.text
    templates = operator.get(reverse("admin:pipeline_organization_changelist"))
    assert reverse("admin:pipeline_organization_add") in templates.text
    searched = operator.get(reverse("admin:pipeline_organization_changelist"), {"q": "nobody"})
    assert "Nothing here matches" in searched.text
