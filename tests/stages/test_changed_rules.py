"""A requirement that counts was once a simple one, or becomes one: who fulfilled it has done so, until a penalty strikes."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import stages
from pipeline.configuration.exporting import export_configuration
from pipeline.configuration.importing import import_configuration
from pipeline.ledgers import inbox
from pipeline.lms.events import LmsEvent
from pipeline.models import Badge, ConfigurationVersion, Fulfillment, Occurrence, Template
from tests.ledgers.builders import DEMO, FAILED, MATH, PASSED, at, course_template, deliver, fails, passes, penalty
from tests.ledgers.builders import requirement as built
from tests.ledgers.builders import template as bare
from tests.stages.test_order import ART, COURSE, LEARNERS, PROFILE, Example, many_passes

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

WHO = LEARNERS[0]


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


def narrow() -> None:
    """By a badge file: from now on only the demo course counts."""
    text = export_configuration()
    rule = "          - {data_path: is_passing, operator: eq, value: 'true'}\n"
    assert text.count(rule) == 1
    only_demo = f"          - {{data_path: {COURSE}, operator: starts_with, value: 'course-v1:OpenedX+DemoX'}}\n"
    import_configuration(text.replace(rule, rule + only_demo).encode(), "badges.yaml")


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
            elif not distinct and event.time > newest_of_others(event, history):
                assert event.payload["user"]["id"] not in awarded()


def awarded() -> set[int]:
    return set(Badge.objects.filter(standing="awarded").values_list("learner__lms_user_id", flat=True))


def newest_of_others(event: LmsEvent, history: list[LmsEvent]) -> datetime:
    """The time of the learner's newest event beside this one."""
    who = event.payload["user"]["id"]
    times = [each.time for each in history if each.payload["user"]["id"] == who and each.id != event.id]
    return max(times, default=at(-1))
