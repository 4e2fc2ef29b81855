"""Retirement: a learner's name is nowhere any more, never comes back, and nothing else has changed."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from pipeline import stages
from pipeline.bus import catalogue
from pipeline.bus.codec import event_data_for
from pipeline.ledgers import inbox, mentions, outbox, quotations, retirement
from pipeline.lms.events import LmsLearner
from pipeline.models import Badge, BadgeHistory, Event, Fulfillment, Learner, Progress, Signal, Webhook
from tests.ledgers.builders import (
    TOPIC,
    at,
    claimed_signal,
    course_template,
    deliver,
    fails,
    held_badge,
    learner,
    lms_learner,
    message,
    passes,
    received,
    stored,
)
from tests.ledgers.people import TABLES, exam_of, mina, naming, story, unreadable, user, verification_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def who() -> LmsLearner:
    return mina()


def row_of(who: LmsLearner) -> Learner:
    return Learner.objects.get(lms_user_id=who.id)


def facts() -> dict[str, list[dict[str, Any]]]:
    """What retiring leaves as it is: all columns that hold no text about people."""
    about_people = {"username", "email", "name", "retired_at", "payload", "raw", "error", "note", "outcome", "matched"}
    about_people |= {"value", "change_message", "revocation_reason", "as_of", "as_of_event", "active"}
    return {
        table.__name__: [
            {name: value for name, value in row.items() if name not in about_people}
            for row in table._default_manager.order_by("pk").values()
        ]
        for table in (*TABLES, Progress)
    }


def test_the_story_names_the_learner_in_every_table(who: LmsLearner):
    """The control of what follows: were the search blind, this would fail."""
    story(who)
    found = naming()
    assert set(found) == {table.__name__ for table in TABLES}
    assert len(found["Event"]) == 8


def test_after_a_retirement_no_row_of_any_table_names_the_learner_and_all_facts_are_as_before(who: LmsLearner):
    story(who)
    before = facts()
    retired = retirement.retire(who.id)
    assert naming() == {}
    assert facts() == before
    assert row_of(who).username == f"retired-{who.id}"
    assert retired.events == 5
    assert retired.unreadable == 2
    assert retired.signals == 1
    assert retired.texts == 8


def test_retiring_again_changes_nothing(who: LmsLearner):
    story(who)
    retirement.retire(who.id)
    before = [list(table._default_manager.order_by("pk").values()) for table in TABLES]
    assert retirement.retire(who.id) == retirement.Retired(events=0, unreadable=0, signals=0, texts=0)
    assert [list(table._default_manager.order_by("pk").values()) for table in TABLES] == before


def test_other_people_stay_as_they_are_even_in_events_about_both(who: LmsLearner):
    story(who)
    dana = lms_learner("Dana Quist")
    received(exam_of(dana, who, 8), exam_of(who, dana, 9))
    deliver(passes(dana, 10))
    retirement.retire(who.id)
    assert row_of(dana).email == dana.email
    both = [event.payload for event in mentions.naming(dana.id) if "requesting_user" in event.payload]
    assert len(both) == 2
    assert all(user(dana) in payload.values() for payload in both)


def logged(row: Model, message: str) -> LogEntry:
    staff, _ = User.objects.get_or_create(username="staff")
    kind = ContentType.objects.get_for_model(type(row))
    return LogEntry.objects.create(
        user=staff, content_type=kind, object_id=str(row.pk), action_flag=2, change_message=message
    )


def test_a_username_that_is_a_common_word_is_replaced_only_where_the_text_is_about_its_learner():
    mine, theirs = held_badge(learner=learner(username="changed", name="Will Active")), held_badge()
    about_me = [logged(mine, "Revoked: changed asked for it."), logged(mine.learner, "Exported for Will Active.")]
    about_others = [
        logged(theirs, "Revoked: changed active, will active."),
        logged(theirs.template, '[{"changed": {"fields": ["Active"], "object": "changed"}}]'),
    ]
    outcome = f"The template was changed by {mine.learner.email}, will active."
    webhook = Webhook.objects.create(
        organization=theirs.template.organization, event=uuid4(), event_type="badge", outcome=outcome
    )
    failed = passes(lms_learner(), 1)
    received(failed)
    Event.objects.update(status="failed", error="KeyError: 'changed'", note="Will Active was changed.")
    BadgeHistory.objects.create(badge=theirs, what="issue", outcome="changed")
    before = [row.change_message for row in about_others]
    retirement.retire(mine.learner.lms_user_id)
    name = f"retired-{mine.learner.lms_user_id}"
    assert [LogEntry.objects.get(pk=row.pk).change_message for row in about_me] == [
        f"Revoked: {name} asked for it.",
        f"Exported for {name}.",
    ]
    assert [LogEntry.objects.get(pk=row.pk).change_message for row in about_others] == before
    webhook.refresh_from_db()
    assert webhook.outcome == f"The template was changed by {name}, will active."
    assert (stored(failed).error, stored(failed).note) == ("KeyError: 'changed'", "Will Active was changed.")
    assert theirs.history.filter(outcome="changed").exists()


def test_what_django_itself_writes_into_the_admins_log_keeps_its_structure():
    row = held_badge(learner=learner(username="changed", name="René Object"))
    message = [{"changed": {"name": "object", "fields": ["Changed", "object"], "object": "of changed, René Object"}}]
    entry, odd = logged(row, json.dumps(message)), logged(row, "[changed] by hand")
    retirement.retire(row.learner.lms_user_id)
    name = f"retired-{row.learner.lms_user_id}"
    message[0]["changed"]["object"] = f"of {name}, {name}"
    assert json.loads(LogEntry.objects.get(pk=entry.pk).change_message) == message
    assert LogEntry.objects.get(pk=odd.pk).change_message == f"[{name}] by hand"


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (quotations, "remove"),
        (quotations, "empty_unreadable"),
        (mentions, "with_address"),
        (retirement, "_conceal_events"),
        (retirement, "conceal"),
    ],
)
def test_a_retirement_that_was_killed_goes_on_where_it_stopped(
    who: LmsLearner, module: Any, function: str, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: Any) -> None:
        raise Killed

    story(who)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, killed)
        with pytest.raises(Killed):
            retirement.retire(who.id)
    assert naming()
    retirement.retire(who.id)
    assert naming() == {}


def test_a_retirement_that_was_killed_between_two_events_goes_on(who: LmsLearner):
    def stop_at_the_second(done: int, _total: int) -> None:
        if done == 2:
            raise Killed

    story(who)
    with pytest.raises(Killed):
        retirement.retire(who.id, stop_at_the_second)
    assert naming()
    retirement.retire(who.id)
    assert naming() == {}


def test_progress_is_told_event_by_event(who: LmsLearner):
    received(passes(who, 1), passes(who, 2))
    told: list[tuple[int, int]] = []
    retirement.retire(who.id, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_later_events_are_stored_without_the_name_and_bring_nothing_back(who: LmsLearner):
    story(who)
    retirement.retire(who.id)
    again = mina(id=who.id)
    deliver(passes(again, 20), verification_of(again, 21), exam_of(lms_learner(), again, 22))
    assert naming() == {}
    assert row_of(who).as_of == at(20)
    assert (row_of(who).username, row_of(who).email, row_of(who).name) == (f"retired-{who.id}", "", "")


def test_a_later_event_still_earns_progress(who: LmsLearner):
    received(passes(who, 1))
    retirement.retire(who.id)
    course_template()
    event = passes(mina(id=who.id), 20)
    deliver(event)
    assert Fulfillment.objects.get().event == event.id


def test_an_event_that_was_being_persisted_while_its_learner_retired_brings_nothing_back(who: LmsLearner):
    """The worker has read the event with its names; the learner is retired before it writes."""
    course_template()
    deliver(passes(who, 0))
    event = passes(who, 1)
    [matching] = stages.evaluate(received(event))
    retirement.retire(who.id)
    Event.objects.filter(pk=event.id).update(payload=event.payload)
    stages.persist([matching])
    assert row_of(who).as_of == at(1)
    assert row_of(who).username == f"retired-{who.id}"
    assert (row_of(who).email, row_of(who).name) == ("", "")


def test_an_event_that_a_consumer_stored_while_the_learner_was_retired_is_pseudonymised_at_once(
    who: LmsLearner, monkeypatch: pytest.MonkeyPatch
):
    """The retirement comes between the commit and the look for retired learners, and has not seen the event."""
    received(passes(who, 1))
    event = passes(who, 2)
    insert = inbox._insert

    def insert_then_retire(*arguments: Any) -> Any:
        new = insert(*arguments)
        Learner.objects.update_or_create(
            lms_user_id=who.id,
            defaults={"username": "", "as_of": at(1), "as_of_event": uuid4(), "retired_at": at(1)},
        )
        return new

    monkeypatch.setattr(inbox, "_insert", insert_then_retire)
    assert inbox.store([message(event)], TOPIC) == [event.id]
    assert stored(event).payload["user"]["pii"]["username"] == f"retired-{who.id}"


def test_a_repeat_of_a_pseudonymised_event_is_no_other_content(who: LmsLearner):
    event = passes(who, 1)
    received(event)
    retirement.retire(who.id)
    assert inbox.store([message(event)], TOPIC) == []
    assert stored(event).note == ""
    inbox.store([message(fails(who, 1, id=event.id), position="7-1")], TOPIC)
    assert "7-1" in stored(event).note
    assert naming() == {}


@pytest.mark.parametrize("number", [1, 500])
@pytest.mark.parametrize(("anybody", "asked"), [(False, 1), (True, 2)])
def test_a_batch_asks_once_whether_anybody_is_retired_and_then_once_who(number: int, anybody: bool, asked: int):
    learner(retired_at=at(0) if anybody else None)
    batch = [message(passes(lms_learner(), minute)) for minute in range(number)]
    with CaptureQueriesContext(connection) as queries:
        inbox.store(batch, TOPIC)
    assert sum("pipeline_learner" in query["sql"] for query in queries) == asked


def test_pseudonymised_events_are_valid_and_replaying_them_changes_nothing(who: LmsLearner):
    course_template()
    events = [passes(who, 1), fails(who, 2), passes(who, 3), verification_of(who, 4)]
    deliver(*events)
    retirement.retire(who.id)
    for row in Event.objects.all():
        user = catalogue.user_of(row.type, row.payload)
        signal = catalogue.event_types()[row.type].signal
        assert user is not None
        assert event_data_for(signal, row.payload)
    before = {**facts(), "learner": model_to_dict(row_of(who)), "progress": list(Fulfillment.objects.values())}
    for event in inbox.replay([event.id for event in events]):
        for matching in stages.evaluate([event]):
            assert stages.persist([matching]) == []
    after = {**facts(), "learner": model_to_dict(row_of(who)), "progress": list(Fulfillment.objects.values())}
    for name in ("Badge", "BadgeHistory", "Signal", "learner", "progress"):
        assert after[name] == before[name]


def test_somebody_known_from_events_only_is_retired_too_and_stays_so(who: LmsLearner):
    event, other = passes(who, 1), exam_of(lms_learner(), who, 2)
    received(event, other)
    assert not Learner.objects.exists()
    assert retirement.retire(who.id).events == 2
    assert naming() == {}
    assert row_of(who).retired_at
    received(passes(who, 3))
    assert naming() == {}


def test_an_event_refused_for_its_empty_username_loses_the_rest_and_stays_refused(who: LmsLearner):
    event = passes(mina(id=who.id, username=""), 1)
    stages.evaluate(received(event, passes(who, 2)))
    assert stored(event).status == "failed"
    retirement.retire(who.id)
    assert naming() == {}
    stages.evaluate(inbox.redrive([event.id]))
    assert stored(event).status == "failed"


def test_unreadable_messages_of_others_are_kept(who: LmsLearner):
    received(passes(who, 1))
    theirs, other = unreadable(who.email), unreadable("dana")
    inbox.store([theirs, other], TOPIC)
    retirement.retire(who.id)
    emptied, kept = Event.objects.get(pk=theirs.id), Event.objects.get(pk=other.id)
    assert (bytes(emptied.raw), emptied.status, emptied.error) == (b"", "failed", theirs.reason)
    assert f"learner {who.id} was retired" in emptied.note
    assert bytes(kept.raw) == other.raw


def test_a_signal_that_waits_goes_out_pseudonymised():
    row = held_badge()
    retirement.retire(row.learner.lms_user_id)
    [signal] = Signal.objects.all()
    claimed = claimed_signal(signal.pk)
    assert claimed is not None
    assert claimed[0].payload["user"]["pii"] == {
        "username": f"retired-{row.learner.lms_user_id}",
        "email": "",
        "name": "",
    }


def test_a_signal_whose_writer_had_not_heard_of_the_retirement_goes_out_pseudonymised():
    row = held_badge()
    knew = Badge.objects.select_related("learner", "template").get(pk=row.pk)
    retirement.retire(row.learner.lms_user_id)
    [late] = outbox.write(knew, outbox.REVOKED)
    assert Signal.objects.get(pk=late).payload["user"]["pii"]["email"] == row.learner.email
    Signal.objects.exclude(pk=late).delete()
    claimed = claimed_signal(late)
    assert claimed is not None
    assert claimed[0].payload["user"]["pii"]["email"] == ""
    assert Signal.objects.get(pk=late).payload == claimed[0].payload


def test_a_person_is_found_by_id_and_by_username_in_learners_and_in_events(who: LmsLearner):
    dana = lms_learner()
    received(exam_of(dana, who, 1))
    assert mentions.by_username(who.username) == mentions.by_id(who.id) == who.id
    assert mentions.by_username(dana.username) == mentions.by_id(dana.id) == dana.id
    retirement.retire(who.id)
    assert mentions.by_username(f"retired-{who.id}") == who.id
    with pytest.raises(mentions.NothingHeld, match="wilhelminaq"):
        mentions.by_username(who.username)
    with pytest.raises(mentions.NothingHeld, match="987654"):
        mentions.by_id(987654)


def test_a_username_that_passed_on_means_the_person_of_the_newest_event():
    first, second = lms_learner(username="shared"), lms_learner(username="shared")
    received(passes(second, 2), passes(first, 1))
    assert mentions.by_username("shared") == second.id
