"""Gaps of the event bus in the admin."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from pipeline.models import Gap
from tests.admin.pages import act, listed, logged, page_url, text, told

pytestmark = pytest.mark.django_db


def gap(number: int = 1, **fields) -> Gap:
    now = timezone.now()
    given = {
        "topic": "badges",
        "group": "ours",
        "after": f"{number}-0",
        "before": f"{number}-9",
        "messages": 8,
    } | fields
    return Gap.objects.create(lost_from=now, lost_until=now, **given)


def test_a_gaps_page_says_how_much_was_lost_and_what_to_do(viewer: Client):
    page = text(viewer.get(page_url(gap())))
    assert re.search(r"messages lost\W+8\b", page, re.IGNORECASE)
    assert "Have the LMS send the events of this time again" in page


def test_where_the_bus_cannot_tell_how_many_were_lost_the_page_says_so(viewer: Client):
    assert "the bus can't tell" in text(viewer.get(page_url(gap(messages=None))))


def test_an_operator_says_that_a_gap_is_dealt_with(operator: Client):
    open_one, settled = gap(1), gap(2, settled_at=timezone.now())
    assert [each.action for each in operator.get(page_url(open_one)).context["operations"]] == ["settle"]
    answer = act(operator, "settle", [open_one, settled])
    assert told(answer) == ["1 gap is settled.", "1 gap was settled already."]
    assert listed(operator, Gap, settled_at__isempty="1") == []
    assert operator.get(page_url(open_one)).context["operations"] == []
    assert logged() == [(str(open_one.pk), "Settled.")]


def test_viewers_settle_nothing(viewer: Client):
    row = gap()
    act(viewer, "settle", [row])
    assert Gap.objects.get().settled_at is None
