"""The status page: for staff who may see events, without JavaScript too."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from pipeline.models import Badge, Event, Gap
from tests.ledgers.builders import badge, lms_learner, organization, passes, received
from tests.staff import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    return client_of("viewer")


def shown(client: Client) -> list[tuple[str, str]]:
    """The states on the page with their numbers, in order."""
    page = client.get(reverse("status")).text
    return re.findall(r"<dt[^>]*>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>", page)


def test_it_shows_the_numbers_of_every_stage(staff):
    ids = received(passes(lms_learner(), 1), passes(lms_learner(), 2), passes(lms_learner(), 3))
    Event.objects.filter(pk=ids[0]).update(status="failed")
    badge(), badge(credly_state="failed", due_at=None)
    assert shown(staff)[:6] == [
        ("received", "2"),
        ("processed", "0"),
        ("ignored", "0"),
        ("failed", "1"),
        ("awarded", "2"),
        ("revoked", "0"),
    ]


def test_every_state_has_a_name(staff):
    assert all(state for state, _ in shown(staff))
    assert len(shown(staff)) == 16


def test_it_renews_itself_without_javascript_and_with(staff):
    page = staff.get(reverse("status")).text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert 'hx-trigger="every 5s"' in page


def test_it_is_never_kept_by_a_cache(staff):
    assert "no-store" in staff.get(reverse("status")).headers["Cache-Control"]
    badge()
    assert ("awarded", "1") in shown(staff)
    Badge.objects.all().delete()
    assert ("awarded", "0") in shown(staff)


def test_it_is_for_staff_who_may_see_events():
    somebody = Client()
    assert somebody.get(reverse("status")).url.startswith(reverse("admin:login"))
    somebody.force_login(User.objects.create_user("learner"))
    assert somebody.get(reverse("status")).url.startswith(reverse("admin:login"))
    somebody.force_login(User.objects.create_user("nobody", is_staff=True))
    assert somebody.get(reverse("status")).status_code == 403


def test_it_only_answers_to_reading(staff):
    assert staff.post(reverse("status")).status_code == 405


@pytest.mark.parametrize(("number", "words"), [(7, "7 messages of badges"), (None, "How many, the bus can")])
def test_it_says_what_was_lost_on_the_bus(staff, number, words):
    now = timezone.now()
    Gap.objects.create(
        topic="badges", group="ours", after="1-0", before="9-0", messages=number, lost_from=now, lost_until=now
    )
    page = staff.get(reverse("status")).text
    assert words in page
    assert "before group ours had read them" in page


def test_it_names_organizations_without_a_working_key_with_a_link_and_the_time_in_words(staff):
    since = datetime(2026, 5, 1, 12, 1, 5, tzinfo=UTC)
    refused = organization(name="<Academy>", gate_reason="key refused", gate_closed_at=since)
    organization(name="School", key_expires_at=timezone.now() + timedelta(days=3))
    page = staff.get(reverse("status")).text
    url = reverse("admin:pipeline_organization_change", args=[refused.pk])
    told = (
        rf'Organization <a href="{url}"[^>]*>&lt;Academy&gt;</a> has no working API key since 1 May 2026 12:01:05 UTC'
    )
    assert re.search(told, page)
    assert re.search(r"The API key of organization <a [^>]*>School</a> expires on", page)


@pytest.mark.parametrize(
    ("reason", "words"), [("failing", "one call after the other (12)"), ("throttled", "asked for fewer calls")]
)
def test_it_says_for_which_organization_credly_is_not_called_and_why(staff, reason, words):
    organization(name="Well Academy")
    organization(name="Ill Academy", gate_reason=reason, failures=12, call_again_at=timezone.now())
    page = staff.get(reverse("status")).text
    assert (words in page, "Ill Academy" in page, "Well Academy" in page) == (True, True, False)
