"""Signals to the event bus in the admin."""

import re

import pytest
from django.test import Client

from pipeline.models import Badge, Signal
from tests.admin.pages import act, listed, logged, nudged, page_url, queries, text, told
from tests.ledgers.builders import held_badge, learner

pytestmark = pytest.mark.django_db


def signal(state: str = "pending", **fields) -> Signal:
    row = held_badge(**fields).signals.get()
    Signal.objects.filter(pk=row.pk).update(state=state, error="No such field." if state == "failed" else "")
    return Signal.objects.get(pk=row.pk)


@pytest.mark.parametrize("term", ["{uuid}", "{badge}", "dana", "4711"])
def test_signals_are_found_by_either_id_and_by_the_learner(operator: Client, term):
    row = signal(learner=learner(username="dana", lms_user_id=4711))
    signal()
    assert listed(operator, Signal, q=term.format(uuid=row.uuid, badge=row.badge.uuid)) == [row.pk]


def test_signals_are_filtered_by_state_and_template(operator: Client):
    failed, sent = signal("failed"), signal("sent")
    assert listed(operator, Signal, state__exact="failed") == [failed.pk]
    assert listed(operator, Signal, badge__template__id__exact=sent.badge.template_id) == [sent.pk]


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(operator: Client):
    signal()
    for_one = queries(operator, Signal)
    for _ in range(9):
        signal()
    assert queries(operator, Signal) == for_one


def test_a_signals_page_shows_what_was_told_and_its_badge(viewer: Client):
    row = signal("failed")
    response = viewer.get(page_url(row))
    assert '"origin": "credly"' in text(response)
    assert "No such field." in text(response)
    assert page_url(Badge.objects.get()) in response.content.decode()
    assert response.context["operations"] == []


def test_failed_signals_are_sent_again_and_others_left_alone(operator: Client, django_capture_on_commit_callbacks):
    failed, sent = signal("failed"), signal("sent")
    assert [each.action for each in operator.get(page_url(failed)).context["operations"]] == ["redrive"]
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "redrive", [failed, sent])
    assert told(response)[0] == "1 signal is sent again."
    assert told(response)[1].startswith("1 signal was left alone")
    assert dict(Signal.objects.values_list("pk", "state")) == {failed.pk: "pending", sent.pk: "sent"}
    assert nudged(callbacks) == [("emit", [[failed.pk]])]
    assert logged() == [(str(failed.pk), "Redriven.")]


def test_viewers_send_nothing_again(viewer: Client):
    row = signal("failed")
    act(viewer, "redrive", [row])
    assert Signal.objects.get().state == "failed"


def test_a_signals_page_shows_where_in_our_code_it_failed_and_how_often_it_was_taken_up(viewer: Client):
    row = signal("failed")
    Signal.objects.update(traceback="pipeline/bus/codec.py:7 encode", taken_up=3)
    page = text(viewer.get(page_url(row)))
    assert "pipeline/bus/codec.py:7 encode" in page
    assert re.search(r"taken up since the last result\W+3\b", page, re.IGNORECASE)
