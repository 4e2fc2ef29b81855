"""Running stored events again changes nothing that they did already, and does what a new template asks for."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rules, stages
from pipeline.ledgers import inbox
from pipeline.models import Badge, BadgeHistory, Event, Fulfillment, Learner, Occurrence, Signal
from tests.ledgers.builders import course_template, deliver, fails, lms_learner, passes, received, stored
from tests.stages.test_order import (
    LEARNERS,
    PROFILE,
    USUAL,
    Example,
    any_history,
    any_plan,
    at_this_site,
    deliveries,
    issue_all,
    play,
)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]


def everything(site: Any) -> dict[str, Any]:
    """All that events may change, here and at Credly."""
    tables = (Learner, Fulfillment, Occurrence, Badge, BadgeHistory, Signal)
    held: dict[str, Any] = {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}
    ended = Event.objects.order_by("pk").values_list("pk", "status", "error")
    return held | {"events": list(ended), "calls": len(site.emulator.requests(organization=site.academy.organization))}


@settings(PROFILE)
@given(data=st.data(), plan=any_plan, history=any_history, reaward=st.booleans())
def test_replaying_any_selection_in_any_order_any_number_of_times_changes_nothing(site, data, plan, history, reaward):
    with Example():
        at_this_site(site, plan, reaward=reaward)
        play(site, data, deliveries(data.draw, history))
        issue_all()
        before = everything(site)
        selections = st.lists(st.sampled_from(history), min_size=1, max_size=12)
        for selection in data.draw(st.lists(selections, min_size=1, max_size=3), label="selections"):
            for event in inbox.replay([event.id for event in selection]):
                for matching in stages.evaluate([event]):
                    stages.persist([matching])
            issue_all()
        assert everything(site) == before


def test_without_the_newest_event_deciding_a_replay_would_change_the_badge(site, monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(rules.progress, "supersedes", lambda new, old: True)
    with Example():
        at_this_site(site, USUAL, reaward=True)
        early = passes(LEARNERS[0], 1)
        deliver(early, fails(LEARNERS[0], 2))
        issue_all()
        before = everything(site)
        run_again(early.id)
        assert everything(site) != before


def run_again(*events: Any) -> None:
    for event in stages.evaluate(inbox.replay(events)):
        stages.persist([event])


def test_a_template_that_was_activated_late_gets_the_events_of_the_past():
    event = passes(lms_learner(), 1)
    deliver(event)
    assert stored(event).status == "ignored"
    course_template()
    run_again(event.id)
    assert stored(event).status == "processed"
    assert Badge.objects.get().history.get().event == event.id


def test_events_that_still_wait_are_not_replayed_and_those_that_ended_wait_again():
    waiting, ended = received(passes(lms_learner(), 1), passes(lms_learner(), 2))
    stages.evaluate([ended])
    assert inbox.replay([waiting, ended]) == [ended]
    row = Event.objects.get(pk=ended)
    assert (row.status, row.attempts, row.due_at is not None) == ("received", 0, True)
    assert inbox.replay([waiting, ended]) == []
