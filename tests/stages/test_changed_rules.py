"""A requirement that counts was once a simple one, or becomes one: who fulfilled it has done so, until a penalty strikes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import stages
from pipeline.configuration import ruleset
from pipeline.configuration.exporting import export_configuration
from pipeline.configuration.importing import import_configuration
from pipeline.ledgers import inbox, occurrences
from pipeline.lms.events import LmsEvent
from pipeline.models import (
    Badge,
    ConfigurationVersion,
    Event,
    EventStatus,
    Fulfillment,
    Learner,
    Occurrence,
    Template,
)
from pipeline.reports import effects
from pipeline.reports.cases import cases_of
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    at,
    course_template,
    deliver,
    deliver_together,
    fails,
    passes,
    penalty,
)
from tests.ledgers.builders import requirement as built
from tests.ledgers.builders import template as bare
from tests.stages.test_order import ART, COURSE, LEARNERS, PASSING, PROFILE, Example, many_passes

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

WHO = LEARNERS[0]
DEMO_OF_AUTUMN = "course-v1:OpenedX+DemoX+Autumn"


def change(template: Template, **asks: object) -> None:
    """The template's requirements now ask for something else."""
    for row in template.requirements.all():
        for column, value in asks.items():
            setattr(row, column, value)
        row.save()


def replay(*events: LmsEvent) -> None:
    for event in inbox.replay([event.id for event in events]):
        stages.persist(stages.evaluate([event]))


def standings() -> list[str]:
    return list(Badge.objects.order_by("pk").values_list("standing", flat=True))


def fulfilled() -> list[str]:
    return sorted(Fulfillment.objects.filter(fulfilled=True).values_list("requirement__slug", flat=True))


def test_who_holds_a_badge_keeps_it_when_its_requirement_begins_to_count():
    template = course_template()
    deliver(passes(WHO, 1))
    change(template, count=3)
    deliver(passes(WHO, 2))
    assert standings() == ["awarded"]
    assert fulfilled() == ["demo"]


def test_a_penalty_then_still_revokes():
    template = course_template()
    deliver(passes(WHO, 1))
    change(template, count=3)
    deliver(passes(WHO, 2), fails(WHO, 3))
    assert standings() == ["revoked"]


def test_a_penalty_revokes_at_once_when_the_requirement_has_begun_to_count():
    template = course_template()
    deliver(passes(WHO, 1))
    change(template, count=3)
    deliver(fails(WHO, 2))
    assert standings() == ["revoked"]


def test_who_holds_a_badge_keeps_it_when_its_requirement_asks_for_one_event_again():
    template = course_template()
    change(template, count=2)
    deliver(passes(WHO, 1), passes(WHO, 2))
    change(template, count=1)
    deliver(passes(WHO, 3, MATH))
    assert standings() == ["awarded"]
    assert fulfilled() == ["demo"]


def test_a_penalty_revokes_when_the_requirement_asks_for_one_event_again():
    template = course_template()
    change(template, count=2)
    deliver(passes(WHO, 1), passes(WHO, 2))
    change(template, count=1)
    deliver(fails(WHO, 3))
    assert standings() == ["revoked"]


@pytest.mark.parametrize("between", [0, 1])
def test_a_requirement_that_counted_for_a_while_is_as_it_was(between: int):
    """Nobody took anything back: an event that was one of too few does not stand against what it fulfills."""
    template = course_template()
    built(template, "math", PASSED, (COURSE, "eq", MATH))
    events = [passes(WHO, 1), passes(WHO, 2)]
    deliver(events[0])
    change(template, count=3)
    deliver(*events[1 : 1 + between])
    change(template, count=1)
    replay(events[0])
    deliver(passes(WHO, 3, MATH))
    assert fulfilled() == ["demo", "math"]
    assert standings() == ["awarded"]


def test_what_counted_before_counts_again_once_the_kept_events_are_replayed():
    template = course_template()
    events = [passes(WHO, 1), passes(WHO, 2)]
    deliver(*events)
    change(template, count=2)
    deliver(passes(WHO, 3, MATH))
    replay(*events)
    assert fulfilled() == ["demo"]
    assert Fulfillment.objects.get().event == events[1].id


def test_a_penalty_older_than_what_fulfilled_it_does_not_revoke_when_it_has_begun_to_count():
    template = course_template()
    deliver(passes(WHO, 8))
    change(template, count=3)
    deliver(fails(WHO, 5))
    assert standings() == ["awarded"]


def test_what_took_part_already_takes_nothing_back_when_it_is_replayed_under_the_new_rule():
    template = course_template(reaward=True)
    events = [passes(WHO, 1), fails(WHO, 2), passes(WHO, 3)]
    deliver(*events)
    before = standings()
    change(template, count=2)
    for event in events:
        replay(event)
    assert standings() == before
    assert fulfilled() == ["demo"]


def test_what_others_now_come_after_was_fulfilled_when_it_was():
    template = bare()
    first = built(template, "first", PASSED, (COURSE, "eq", DEMO))
    second = built(template, "second", PASSED, (COURSE, "eq", MATH))
    deliver(passes(WHO, 1))
    second.after = first
    second.save()
    deliver(passes(WHO, 2, MATH))
    assert fulfilled() == ["first", "second"]
    assert standings() == ["awarded"]


def test_what_a_penalty_took_while_one_event_was_enough_stays_taken_when_it_counts_again():
    template = course_template()
    deliver(passes(WHO, 1))
    change(template, count=2)
    deliver(passes(WHO, 2))
    import_configuration(export_configuration().replace("        count: 2\n", "").encode(), "badges.yaml")
    deliver(fails(WHO, 3))
    assert standings() == ["revoked"]
    change(template, count=2)
    deliver(passes(WHO, 4))
    assert fulfilled() == []


def test_one_of_two_alternatives_taken_back_leaves_what_the_other_fulfilled_before_the_change():
    template = bare()
    first = built(template, "first", PASSED, (COURSE, "eq", DEMO), group="A")
    built(template, "either", PASSED, (COURSE, "eq", MATH), group="A")
    penalty(template, "failed", [first], FAILED)
    deliver(passes(WHO, 1), passes(WHO, 1, MATH))
    template.requirements.filter(slug="either").update(count=5)
    ConfigurationVersion.renew()
    deliver(fails(WHO, 2))
    assert standings() == ["awarded"]
    assert fulfilled() == ["either"]


def test_a_requirement_that_others_now_come_after_keeps_its_holders_too():
    template = bare()
    first = built(template, "first", PASSED, (COURSE, "eq", DEMO))
    second = built(template, "second", PASSED, (COURSE, "eq", MATH))
    penalty(template, "failed", [first], FAILED, (COURSE, "eq", DEMO))
    deliver(passes(WHO, 1), passes(WHO, 2), passes(WHO, 1.5, MATH))
    second.after = first
    second.save()
    deliver(passes(WHO, 5))
    assert standings() == ["awarded"]
    deliver(fails(WHO, 6))
    assert standings() == ["revoked"]


def count_any_course() -> None:
    built(bare(), "any", PASSED, count=3, distinct=COURSE)


ONLY_DEMO = f"{{data_path: {COURSE}, operator: starts_with, value: 'course-v1:OpenedX+DemoX'}}"


def narrow(to: str = ONLY_DEMO, count: int = 3) -> None:
    """By a badge file: from now on only such courses count."""
    text = export_configuration()
    rule = "          - {data_path: is_passing, operator: eq, value: 'true'}\n"
    assert text.count(rule) >= 1
    changed = text.replace(rule, f"{rule}          - {to}\n", 1).replace("count: 3", f"count: {count}")
    import_configuration(changed.encode(), "badges.yaml")


def test_matches_of_the_rule_before_do_not_count_with_those_of_the_rule_after():
    count_any_course()
    deliver(passes(WHO, 1, MATH), passes(WHO, 2, ART))
    narrow()
    deliver(passes(WHO, 3, DEMO))
    assert not Badge.objects.exists()
    assert Occurrence.objects.count() == 1


def test_control_without_forgetting_they_would(monkeypatch):
    monkeypatch.setattr("pipeline.configuration.importing.begin_anew", lambda template, before: {})
    count_any_course()
    deliver(passes(WHO, 1, MATH), passes(WHO, 2, ART))
    narrow()
    deliver(passes(WHO, 3, DEMO))
    assert standings() == ["awarded"]


def test_how_many_are_asked_for_may_change_and_what_counted_still_counts():
    count_any_course()
    deliver(passes(WHO, 1, MATH), passes(WHO, 2, ART))
    import_configuration(export_configuration().replace("count: 3", "count: 2").encode(), "badges.yaml")
    deliver(passes(WHO, 3, MATH))
    assert standings() == ["awarded"]


def test_back_to_the_rules_of_before_what_they_counted_stays_forgotten_until_a_backfill():
    count_any_course()
    events = [passes(WHO, 1, MATH), passes(WHO, 2, ART)]
    deliver(*events)
    before = export_configuration()
    narrow()
    import_configuration(before.encode(), "badges.yaml")
    deliver(passes(WHO, 3, DEMO))
    assert not Badge.objects.exists()
    replay(*events)
    assert standings() == ["awarded"]


def test_a_penalty_that_struck_what_counts_no_more_takes_back_nothing_of_what_counts_now():
    template = bare()
    penalty(template, "failed", [built(template, "any", PASSED, count=3, distinct=COURSE)], FAILED)
    events = [passes(WHO, 1, DEMO), passes(WHO, 2, ART), passes(WHO, 3, MATH), fails(WHO, 5, MATH)]
    deliver(*events)
    narrow(f"{{data_path: {COURSE}, operator: in, value: ['{DEMO}', '{ART}']}}", count=2)
    replay(*events)
    assert fulfilled() == ["any"]


def test_an_event_that_strikes_by_the_penalties_of_before_can_be_replayed_under_those_of_now():
    """What comes after falls with what a penalty takes back; by the rules of before the same event struck it itself."""
    template = bare()
    first = built(template, "first", PASSED, (COURSE, "eq", DEMO))
    second = built(template, "second", PASSED, (COURSE, "eq", MATH), after=first)
    failed = penalty(template, "failed", [second], FAILED, (COURSE, "eq", DEMO))
    events = [passes(WHO, 1), fails(WHO, 2), passes(WHO, 3, MATH)]
    deliver(*events)
    assert standings() == ["awarded"]
    failed.requirements.set([first])
    ConfigurationVersion.renew()
    replay(*events)
    assert set(Event.objects.values_list("status", flat=True)) == {EventStatus.PROCESSED}
    assert (standings(), fulfilled()) == (["revoked"], [])


@contextmanager
def rules_of_before(held: ruleset.Compiled) -> Iterator[None]:
    """What happens here, a worker does that has not heard of the change yet."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ruleset, "current", lambda: held)
        yield


def test_a_worker_with_the_rules_of_before_does_not_count_what_is_noted_under_those_of_now():
    count_any_course()
    held = ruleset.current()
    narrow()
    deliver(passes(WHO, 1, DEMO), passes(WHO, 2, DEMO_OF_AUTUMN))
    with rules_of_before(held):
        deliver(passes(WHO, 3, MATH))
    assert not Badge.objects.exists()


def test_what_a_worker_with_the_rules_of_before_notes_late_neither_counts_nor_shows():
    count_any_course()
    held = ruleset.current()
    narrow()
    stale = passes(WHO, 1, MATH)
    with rules_of_before(held):
        deliver(stale)
    deliver(passes(WHO, 2, DEMO), passes(WHO, 3, DEMO_OF_AUTUMN))
    assert not Badge.objects.exists()
    assert not effects.counted(Event.objects.get(pk=stale.id)).exists()
    [case] = cases_of(Learner.objects.get())
    assert [tally.reached for tally in case.tallies.values()] == [2]


def test_a_penalty_that_a_worker_with_the_rules_of_before_heeds_is_heeded_by_those_of_now():
    template = course_template()
    deliver(passes(WHO, 1))
    held = ruleset.current()
    change(template, count=3)
    deliver(passes(WHO, 2))
    with rules_of_before(held):
        deliver(fails(WHO, 3))
    assert standings() == ["revoked"]
    deliver(passes(WHO, 4))
    assert (standings(), fulfilled()) == (["revoked"], [])


def test_what_was_forgotten_while_an_event_was_persisted_is_read_again(monkeypatch):
    """Between reading what a penalty decided and writing what the event decides, a change of the rules forgets the one."""
    template = bare()
    penalty(template, "failed", [built(template, "any", PASSED, count=2)], FAILED)
    events = [event for who in LEARNERS[:2] for event in (passes(who, 1), fails(who, 2), passes(who, 3))]
    deliver(*events)
    store, forget = occurrences.store, [True]

    def meanwhile(changes: Any) -> None:
        store(changes)
        if forget:
            forget.pop()
            Fulfillment.objects.filter(fulfilled=False).delete()

    monkeypatch.setattr(occurrences, "store", meanwhile)
    deliver_together([passes(LEARNERS[0], 4), passes(LEARNERS[1], 4)])
    assert standings() == ["awarded", "awarded"]
    assert fulfilled() == ["any", "any"]


def test_newer_events_than_are_looked_at_take_no_badge_away(monkeypatch):
    monkeypatch.setattr("pipeline.rules.occurrences.MOST_LOOKED_AT", 4)
    template = bare()
    either = built(template, "two", PASSED, count=2, distinct=COURSE)
    other = built(template, "other", PASSED, (COURSE, "eq", ART))
    penalty(template, "failed", [either], FAILED, (COURSE, "eq", MATH))
    penalty(template, "other failed", [other], FAILED, (COURSE, "eq", ART))
    deliver(passes(WHO, 0, ART), passes(WHO, 1, MATH))
    deliver(*(passes(WHO, minute, ART) for minute in range(2, 12)))
    assert (standings(), fulfilled()) == (["awarded"], ["other", "two"])
    deliver(fails(WHO, 20, ART))
    assert fulfilled() == ["two"]
    deliver(fails(WHO, 21, MATH))
    assert fulfilled() == []


def test_what_was_fulfilled_under_other_rules_is_never_pushed_out(monkeypatch):
    monkeypatch.setattr("pipeline.rules.occurrences.MOST_LOOKED_AT", 4)
    template = bare()
    built(template, "any", PASSED)
    deliver(passes(WHO, 1))
    change(template, count=2, distinct=COURSE)
    deliver(*(passes(WHO, minute) for minute in range(2, 12)))
    assert (standings(), fulfilled()) == (["awarded"], ["any"])


@settings(PROFILE)
@given(data=st.data(), history=many_passes(), reaward=st.booleans(), distinct=st.sampled_from(["", COURSE]))
def test_however_many_are_asked_for_meanwhile_only_a_penalty_revokes(data, history, reaward, distinct):
    with Example():
        template = bare(reaward=reaward)
        rows = [
            built(template, "any", PASSED, distinct=distinct),
            built(template, "other", PASSED, (COURSE, "ne", DEMO), group="A", distinct=distinct),
        ]
        penalty(template, "failed", rows[: data.draw(st.integers(1, 2), label="struck")], FAILED)
        for event in data.draw(st.permutations(history)):
            change(template, count=data.draw(st.sampled_from([1, 1, 2, 3]), label="count"))
            before = awarded()
            deliver(event)
            if event.payload["is_passing"]:
                assert awarded() >= before
            elif event.type == PASSING and not distinct and event.time > newest_of_others(event, history):
                assert event.payload["user"]["id"] not in awarded()


def awarded() -> set[int]:
    return set(Badge.objects.filter(standing="awarded").values_list("learner__lms_user_id", flat=True))


def newest_of_others(event: LmsEvent, history: list[LmsEvent]) -> datetime:
    """The time of the learner's newest event beside this one."""
    who = event.payload["user"]["id"]
    times = [each.time for each in history if each.payload["user"]["id"] == who and each.id != event.id]
    return max(times, default=at(-1))
