"""The inbox in the admin: find, understand, redrive and replay."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from pipeline import stages
from pipeline.admin import events as events_admin
from pipeline.admin.pagination import BoundedPaginator
from pipeline.bus.codec import UndecodableMessage, encode_raw
from pipeline.ledgers import inbox
from pipeline.models import Badge, Event, EventStatus, Learner, Template
from tests.admin.pages import act, list_url, listed, logged, nudged, page_url, queries, text, told
from tests.ledgers.builders import TOPIC, course_template, deliver, fails, lms_learner, passes, received, stored


@pytest.fixture
def dana(db):
    return lms_learner(username="dana", email="dana@learners.example")


@pytest.fixture
def processed(dana):
    course_template()
    event = passes(dana, 1)
    deliver(event)
    return stored(event)


@pytest.fixture
def failed(db):
    [event] = received(passes(lms_learner(), 1))
    inbox.refuse(event, "Its time lies in the future.")
    return Event.objects.get(pk=event)


@pytest.fixture
def unreadable(db):
    message = UndecodableMessage(
        id=uuid4(), type="", position="3-0", raw=encode_raw({b"odd": b"bytes"}), reason="No id."
    )
    inbox.store([message], TOPIC)
    return Event.objects.get(pk=message.id)


@pytest.mark.parametrize("term", ["dana", "DANA", "Dana@Learners.example", "{lms}", " {id} "])
def test_events_are_found_by_id_and_by_the_learner(operator: Client, processed, failed, term):
    term = term.format(lms=processed.lms_user_id, id=processed.pk)
    assert listed(operator, Event, q=term) == [processed.pk]


def test_events_of_a_learner_who_met_no_rule_are_found_by_lms_id(operator: Client, failed):
    assert not Learner.objects.exists()
    assert listed(operator, Event, q=str(failed.lms_user_id)) == [failed.pk]


@pytest.mark.parametrize("term", ["nobody", "9" * 30, "%", "a" * 400, "²"])
def test_a_search_for_nobody_finds_nothing(operator: Client, processed, term):
    assert listed(operator, Event, q=term) == []


def test_the_newest_come_first(operator: Client, db):
    for minute in range(3):
        received(passes(lms_learner(), minute))
    newest_first = list(Event.objects.order_by("-received_at").values_list("pk", flat=True))
    assert listed(operator, Event) == newest_first


def test_events_are_filtered_by_status_type_and_error(operator: Client, processed, failed, unreadable):
    assert listed(operator, Event, status__exact="processed") == [processed.pk]
    assert listed(operator, Event, error__icontains="FUTURE") == [failed.pk]
    assert listed(operator, Event, type="other") == [unreadable.pk]
    assert set(listed(operator, Event, type=processed.type)) == {processed.pk, failed.pk}


def test_events_are_filtered_by_time_and_a_day_is_the_whole_day(operator: Client, processed, failed):
    Event.objects.filter(pk=processed.pk).update(received_at=datetime(2026, 5, 1, 23, 30, tzinfo=UTC))
    Event.objects.filter(pk=failed.pk).update(received_at=datetime(2026, 5, 2, 0, 30, tzinfo=UTC))
    assert listed(operator, Event, received_at_to_0="2026-05-01") == [processed.pk]
    assert listed(operator, Event, received_at_from_0="2026-05-02") == [failed.pk]
    both = {"received_at_from_0": "2026-05-01", "received_at_from_1": "23:00", "received_at_to_0": "2026-05-02"}
    assert len(listed(operator, Event, **both)) == 2


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none_is_told_and_left_out(operator: Client, processed, wrong):
    response = operator.get(list_url(Event), {"received_at_from_0": wrong})
    assert "is no time such as" in text(response)
    assert len(response.context["cl"].result_list) == 1


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(operator: Client, processed):
    for_one = queries(operator, Event)
    for _ in range(9):
        deliver(passes(lms_learner(), 1))
    assert queries(operator, Event) == for_one


def test_a_list_counts_no_further_than_it_shows(operator: Client, monkeypatch, db):
    monkeypatch.setattr(BoundedPaginator, "MOST", 3)
    received(*(passes(lms_learner(), minute) for minute in range(5)))
    response = operator.get(list_url(Event))
    assert response.context["cl"].result_count == 3
    assert "or more; filter or search to reach the others" in text(response)


def test_the_page_of_a_processed_event_says_what_it_decided_with_links(viewer: Client, processed, dana):
    response = viewer.get(page_url(processed))
    page = text(response)
    assert "Processed: it met requirements or penalties, and still decides what is listed below." in page
    assert "fulfills “demo” of Intro Course" in page
    for row in (Badge.objects.get(), Learner.objects.get(), Template.objects.get()):
        assert page_url(row) in response.content.decode()
    assert '"course_key": "course-v1:OpenedX+DemoX+Demo_Course"' in page
    assert dana.email in page


def test_the_page_of_an_event_that_was_superseded_says_so(viewer: Client, processed, dana):
    deliver(fails(dana, 2))
    assert "other events decide them now" in text(viewer.get(page_url(processed)))


def test_the_page_says_why_an_event_was_ignored(viewer: Client, dana, settings):
    event = passes(dana, 1)
    deliver(event)
    assert "no requirement or penalty of an active template matched it" in text(viewer.get(page_url(stored(event))))
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"events": []}
    assert "nobody subscribed to its type" in text(viewer.get(page_url(stored(event))))


def test_the_page_of_a_failed_event_says_why_and_offers_to_redrive(operator: Client, failed):
    page = text(operator.get(page_url(failed)))
    assert "Failed: Its time lies in the future." in page
    assert "Redrive" in page


def test_the_page_of_a_message_that_can_not_be_read_shows_it_and_offers_nothing(operator: Client, unreadable):
    response = operator.get(page_url(unreadable))
    assert "It could not be read" in text(response)
    assert '{"odd": "' in text(response)
    assert response.context["operations"] == []


def test_the_page_of_an_event_that_waits_says_when_it_is_tried_again(operator: Client, db):
    [event] = received(passes(lms_learner(), 1))
    row = Event.objects.get(pk=event)
    assert "Waits to be evaluated and persisted." in text(operator.get(page_url(row)))
    Event.objects.update(error="KeyError: 'user'", attempts=0)
    assert "Failed, to be tried again" in text(operator.get(page_url(row)))
    inbox.take_up(event)
    inbox.stumble(event, RuntimeError("boom"))
    assert "Failed 1 time(s), to be tried again" in text(operator.get(page_url(row)))


def test_a_payload_that_looks_like_markup_is_shown_as_text(viewer: Client, dana):
    event = passes(lms_learner(name="<script>alert(1)</script>"), 1)
    deliver(event)
    assert b"<script>alert(1)" not in viewer.get(page_url(stored(event))).content


def test_redriving_puts_back_what_could_be_read_and_says_what_could_not(
    operator: Client, failed, unreadable, processed, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "redrive", [failed, unreadable, processed])
    assert told(response) == [
        "1 event is evaluated again.",
        "1 event could not be read when it came, so it stays failed: its error says why.",
    ]
    statuses = {row.pk: row.status for row in Event.objects.all()}
    assert statuses == {failed.pk: "received", unreadable.pk: "failed", processed.pk: "processed"}
    assert nudged(callbacks) == [("evaluate", [[str(failed.pk)]])]
    assert logged() == [(str(failed.pk), "Redriven.")]


def test_replaying_puts_back_what_ended_failed_ones_each_by_itself(
    operator: Client, failed, processed, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        response = act(operator, "replay", [failed, processed])
    assert told(response) == ["2 events are evaluated again."]
    assert set(Event.objects.values_list("status", flat=True)) == {"received"}
    assert nudged(callbacks) == [("evaluate", [[str(failed.pk)]]), ("evaluate", [[str(processed.pk)]])]
    assert sorted(logged()) == sorted([(str(failed.pk), "Replayed."), (str(processed.pk), "Replayed.")])


def test_a_replayed_event_ends_as_it_did(operator: Client, processed):
    badge = Badge.objects.values().get()
    act(operator, "replay", [processed])
    for event in stages.evaluate([processed.pk]):
        stages.persist([event])
    assert (Event.objects.get().status, Badge.objects.values().get()) == ("processed", badge)


def test_a_whole_filtered_selection_is_replayed_in_chunks(operator: Client, db, monkeypatch):
    monkeypatch.setattr("pipeline.replaying.AT_ONCE", 2)
    inbox.finish(inbox.waiting(received(*(passes(lms_learner(), minute) for minute in range(5)))), EventStatus.IGNORED)
    inbox.finish(inbox.waiting(received(passes(lms_learner(), 9))), EventStatus.PROCESSED)
    [first, *_] = Event.objects.filter(status="ignored")
    form = {"action": "replay", "index": 0, "select_across": 1, "_selected_action": [first.pk]}
    response = operator.post(f"{list_url(Event)}?status__exact=ignored", form, follow=True)
    assert told(response) == ["5 events are evaluated again."]
    assert Event.objects.filter(status="received").count() == 5


def test_too_large_a_selection_is_refused_in_words(operator: Client, failed, processed, monkeypatch):
    monkeypatch.setattr(events_admin, "MOST_AT_ONCE", 1)
    response = act(operator, "replay", [failed, processed])
    assert told(response) == ["More than 1 are selected, so nothing was done: narrow the selection with filters."]
    assert not Event.objects.filter(status="received").exists()


def test_a_selection_in_which_nothing_can_be_run_again_says_so(operator: Client, processed):
    assert told(act(operator, "redrive", [processed])) == ["None of them could be run again, so nothing was done."]


def test_a_button_on_the_events_page_acts_and_leads_back_there(operator: Client, failed):
    response = act(operator, "redrive", [failed], from_page=1)
    assert response.redirect_chain == [(page_url(failed), 302)]
    assert told(response) == ["1 event is evaluated again."]


@pytest.mark.parametrize("action", ["redrive", "replay"])
def test_viewers_see_events_and_run_nothing_again(viewer: Client, failed, action):
    assert listed(viewer, Event) == [failed.pk]
    assert viewer.get(page_url(failed)).context["operations"] == []
    act(viewer, action, [failed])
    assert Event.objects.get().status == "failed"
    assert logged() == []


def test_reading_a_page_changes_nothing(operator: Client, failed):
    """Actions are for POST alone."""
    operator.get(list_url(Event), {"action": "redrive", "_selected_action": failed.pk, "index": 0})
    assert Event.objects.get().status == "failed"


def test_without_its_token_a_form_is_refused(operator: Client, failed):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    form = {"action": "redrive", "index": 0, "_selected_action": [failed.pk]}
    assert strict.post(list_url(Event), form).status_code == 403
    assert Event.objects.get().status == "failed"


@pytest.mark.parametrize("key", ["nonsense", "5f0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21"])
def test_an_event_that_is_not_there_leads_back_with_words(operator: Client, key):
    response = operator.get(reverse("admin:pipeline_event_change", args=[key]), follow=True)
    assert response.status_code == 200
    assert any("Perhaps it was deleted?" in message for message in told(response))
