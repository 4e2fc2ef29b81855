"""Requirements that count events, span time or come after another: decided by the set of events, whatever their order."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rules import (
    Decision,
    Occurrence,
    Penalty,
    Progress,
    Requirement,
    Rule,
    Ruleset,
    Tally,
    Template,
    decide,
    occurrences,
    tallies,
)

from . import oracle
from .strategies import FAILED, PASSED, counting_histories, counting_templates, day, deliveries


def requirement(id: int = 1, **fields: Any) -> Requirement:
    return Requirement(id, 1, "passed", None, (), **fields)


def template(*requirements: Requirement) -> Template:
    return Template(1, requirements, (), reaward=False)


def did(when: float, value: str | None = None, event: int | None = None) -> Occurrence:
    """An event that counts; its id is its time unless told otherwise."""
    return Occurrence(day(when), UUID(int=int(when * 10) if event is None else event), value, fulfills=True)


def undid(when: float, value: str | None = None, event: int | None = None) -> Occurrence:
    """An event that takes back."""
    return Occurrence(day(when), UUID(int=int(when * 10) if event is None else event), value, fulfills=False)


def decided(wanted: Requirement, *occurrences: Occurrence) -> float | None:
    """The day whose event fulfills the requirement; None if it is not fulfilled."""
    decision = decide(template(wanted), {wanted.id: occurrences}).get(wanted.id)
    return (decision.time - day(0)) / timedelta(days=1) if decision and decision.fulfilled else None


TWO = requirement(count=2)
TWO_COURSES = requirement(count=2, distinct="course")


def test_without_distinct_different_events_are_counted() -> None:
    assert decided(TWO, did(1)) is None
    assert decided(TWO, did(1), did(2)) == 2
    assert decided(TWO, did(1, event=1), did(1, event=2)) == 1


def test_with_distinct_different_values_are_counted() -> None:
    assert decided(TWO_COURSES, did(1, "A"), did(2, "A")) is None
    assert decided(TWO_COURSES, did(1, "A"), did(2, "A"), did(3, "B")) == 3


def test_an_empty_text_is_a_value_like_any_other() -> None:
    assert decided(TWO_COURSES, did(1, ""), did(2, "A")) == 2
    assert decided(TWO_COURSES, did(1, ""), did(2, "A"), undid(3, "")) is None


def test_the_event_that_first_made_it_enough_decides_and_later_ones_change_nothing() -> None:
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), did(3, "C"), did(4, "A")) == 2


def test_a_value_that_comes_again_does_not_put_off_the_time_at_which_it_was_enough() -> None:
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), did(3, "A")) == 2


def test_a_penalty_takes_back_its_own_value_alone() -> None:
    three = (did(1, "A"), did(2, "B"), did(3, "C"))
    assert decided(TWO_COURSES, *three, undid(4, "A")) == 3
    assert decided(TWO_COURSES, *three, undid(4, "A"), undid(5, "C")) is None
    assert decided(TWO_COURSES, *three, undid(4, "D")) == 2


def test_a_penalty_without_a_value_takes_back_everything_before_it() -> None:
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), undid(3)) is None
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), undid(3), did(4, "A")) is None
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), undid(3), did(4, "A"), did(5, "B")) == 5
    assert decided(TWO, did(1), did(2), undid(3)) is None


def test_a_value_counts_again_with_a_match_newer_than_what_took_it_back() -> None:
    assert decided(TWO_COURSES, did(1, "A"), did(2, "B"), undid(3, "A"), did(4, "A")) == 4


def test_a_penalty_older_than_a_match_does_nothing_to_it() -> None:
    assert decided(TWO_COURSES, undid(1, "A"), undid(1.5), did(2, "A"), did(3, "B")) == 3


def test_of_a_penalty_and_a_match_at_the_same_time_the_greater_id_decides() -> None:
    assert decided(TWO_COURSES, did(1, "A", event=1), did(1, "B", event=3), undid(1, "A", event=2)) is None
    assert decided(TWO_COURSES, did(1, "A", event=3), did(1, "B", event=1), undid(1, "A", event=2)) == 1


def test_matches_count_within_a_span_and_its_end_belongs_to_it() -> None:
    near = requirement(count=2, within=timedelta(days=1))
    assert decided(near, did(1), did(2)) == 2
    assert decided(near, did(1), did(2.5)) is None
    assert decided(near, did(1), did(2.5), did(3)) == 3
    assert decided(requirement(count=2, within=timedelta(0)), did(1, event=1), did(1, event=2)) == 1


def test_a_span_of_different_values_begins_anew_with_each_of_them() -> None:
    near = requirement(count=2, distinct="course", within=timedelta(days=1))
    assert decided(near, did(1, "A"), did(2.5, "A"), did(3, "B")) == 3
    assert decided(near, did(1, "A"), did(1.5, "A"), did(2.3, "B")) == 2.3


def test_what_was_taken_back_fills_no_span() -> None:
    near = requirement(count=2, distinct="course", within=timedelta(days=1))
    assert decided(near, did(1, "A"), did(1.5, "B"), undid(1.7, "B"), did(3, "B")) is None


def test_what_comes_after_another_counts_only_later_than_what_fulfilled_that() -> None:
    both = template(requirement(1), requirement(2, after=1))
    assert fulfilled(both, {1: [did(2)], 2: [did(1)]}) == {1}
    assert fulfilled(both, {1: [did(2, event=1)], 2: [did(2, event=2)]}) == {1}
    assert fulfilled(both, {1: [did(2)], 2: [did(3)]}) == {1, 2}
    assert fulfilled(both, {2: [did(3)]}) == set()


def fulfilled(badge: Template, occurrences: dict[int, list[Occurrence]]) -> set[int]:
    return {key for key, decision in decide(badge, occurrences).items() if decision.fulfilled}


def test_what_came_first_is_what_fulfilled_it_since_it_was_last_taken_back() -> None:
    both = template(requirement(1), requirement(2, after=1))
    assert fulfilled(both, {1: [did(1), did(4)], 2: [did(3)]}) == {1, 2}
    assert fulfilled(both, {1: [did(1), undid(2), did(4)], 2: [did(3)]}) == {1}
    assert fulfilled(both, {1: [did(1), undid(5)], 2: [did(3)]}) == set()
    assert fulfilled(both, {1: [did(1), undid(2), did(4)], 2: [did(3), did(5)]}) == {1, 2}


def test_what_comes_after_one_that_counts_waits_until_that_was_complete() -> None:
    both = template(requirement(1, count=2), requirement(2, after=1))
    assert fulfilled(both, {1: [did(1), did(3)], 2: [did(2)]}) == {1}
    assert fulfilled(both, {1: [did(1), did(3)], 2: [did(4)]}) == {1, 2}


def test_a_chain_is_decided_from_its_beginning_in_whatever_order_it_is_written() -> None:
    chain = template(requirement(3, after=2), requirement(1), requirement(2, after=1))
    done = {1: [did(1)], 2: [did(2)], 3: [did(3)]}
    assert [each.id for each in chain.counted] == [1, 2, 3]
    assert fulfilled(chain, done) == {1, 2, 3}
    assert fulfilled(chain, done | {1: [did(2)]}) == {1}


def test_requirements_that_come_after_each_other_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        template(requirement(1, after=2), requirement(2, after=1))
    with pytest.raises(ValueError, match="circle"):
        template(requirement(1, after=1))


def test_a_requirement_after_one_of_another_template_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have"):
        template(requirement(1, after=7))


def test_only_what_the_newest_event_does_not_decide_is_counted() -> None:
    mixed = template(requirement(1), requirement(2, count=2), requirement(3, after=4), requirement(4))
    assert {each.id for each in mixed.counted} == {2, 3, 4}


def test_what_was_only_taken_back_is_decided_by_the_newest_reset() -> None:
    badge = template(TWO)
    assert decide(badge, {}) == {}
    assert decide(badge, {1: [did(1)]}) == {}
    assert decide(badge, {1: [undid(2), undid(3), did(1)]}) == {1: Decision(day(3), UUID(int=30), fulfilled=False)}


def test_a_tally_has_what_counts_now_and_the_most_that_lies_within_the_span() -> None:
    near = requirement(count=4, distinct="course", within=timedelta(days=2))
    matches = [did(1, "A"), did(2, "A"), did(2.5, "B"), did(5, "C"), did(6, "B")]
    tally = tallies(template(near), {1: [undid(9, "C"), *reversed(matches)]})[1]
    assert tally.matches == tuple(each for each in matches if each.value != "C")
    assert tally.reached == 2
    assert tallies(template(near), {})[1] == Tally((), 0)


def progress_of(badge: Template, events: Iterable[oracle.Event], known: dict[str, Progress]) -> dict[str, Progress]:
    """By the badge's value, what is known once these events have taken part too, as `ledgers.progress` stores it."""
    ruleset = Ruleset([badge])
    found = dict(known)
    for event in events:
        for match in ruleset.match(event.type, event.payload, event.time):
            before = found.get(match.value, Progress())
            found[match.value] = before.after(match, event.payload, event.time, event.id)
    return found


def as_decided(progress: dict[str, Progress]) -> dict[str, dict[int, tuple[UUID, bool]]]:
    decisions = {
        value: {key: (each.event, each.fulfilled) for key, each in of.decisions.items()}
        for value, of in progress.items()
    }
    return {value: of for value, of in decisions.items() if of}


def as_the_oracle_says(badge: Template, events: Iterable[oracle.Event]) -> dict[str, dict[int, tuple[UUID, bool]]]:
    """Per badge and requirement: the event that fulfills it; else the newest that takes back, if any."""
    expected: dict[str, dict[int, tuple[UUID, bool]]] = {}
    for value, own in oracle.badges(badge, events).items():
        expected[value] = {}
        for each in badge.requirements:
            event = oracle.fulfilled_by(badge, each, own)
            resets = [other for other in own if oracle.resets(badge, each, other)]
            deciding = event or max(resets, key=oracle.order, default=None)
            if deciding is not None:
                expected[value][each.id] = (deciding.id, event is not None)
    return {value: decisions for value, decisions in expected.items() if decisions}


@settings(max_examples=1000)
@given(badge=counting_templates(), history=counting_histories(), data=st.data())
def test_any_order_repetition_and_cut_into_batches_is_decided_as_the_oracle_says(
    badge: Template, history: list[oracle.Event], data: st.DataObject
) -> None:
    delivered = data.draw(deliveries(history))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(delivered)), max_size=3)) | {len(delivered)})
    progress: dict[str, Progress] = {}
    for start, end in pairwise([0, *cuts]):
        progress = progress_of(badge, delivered[start:end], progress)
        known = list({event.id: event for event in delivered[:end]}.values())
        assert as_decided(progress) == as_the_oracle_says(badge, known)
    for value, events in oracle.badges(badge, history).items():
        found_tallies = tallies(badge, progress.get(value, Progress()).occurrences)
        for each in badge.counted:
            expected = sorted(oracle.counting(badge, each, events), key=oracle.order)
            assert [match.event for match in found_tallies[each.id].matches] == [event.id for event in expected]
            assert found_tallies[each.id].reached == oracle.reached(badge, each, events)


@given(badge=counting_templates(), history=counting_histories(), data=st.data())
def test_a_match_takes_nothing_away_and_a_reset_gives_nothing(
    badge: Template, history: list[oracle.Event], data: st.DataObject
) -> None:
    """So no award hangs on an event that is still to come, and only a penalty revokes."""
    *earlier, last = data.draw(st.permutations(history))
    before = {value: set(of) for value, of in held_requirements(badge, earlier).items()}
    after = held_requirements(badge, [*earlier, last])
    [match] = Ruleset([badge]).match(last.type, last.payload, last.time) or [None]
    for value in before.keys() | after.keys():
        lost = before.get(value, set()) - after.get(value, set())
        won = after.get(value, set()) - before.get(value, set())
        assert not lost or (match is not None and match.resets and match.value == value)
        assert not won or (match is not None and match.fulfills and match.value == value)


def held_requirements(badge: Template, events: list[oracle.Event]) -> dict[str, set[int]]:
    return {value: set(progress.fulfilled) for value, progress in progress_of(badge, events, {}).items()}


@given(data=st.data(), number=st.integers(1, 12), count=st.integers(2, 5), distinct=st.sampled_from([None, "course"]))
def test_of_more_events_than_are_looked_at_the_newest_decide_in_any_order(
    data: st.DataObject, number: int, count: int, distinct: str | None
) -> None:
    most = 6
    badge = Template(
        1,
        (Requirement(1, 1, "passed", None, PASSED, count=count, distinct=distinct),),
        (Penalty(1, 1, "passed", frozenset({1}), FAILED),),
        reaward=False,
    )
    history = [
        oracle.Event(
            UUID(int=each),
            day(data.draw(st.integers(0, 5))),
            "passed",
            {
                "is_passing": data.draw(st.sampled_from((True, True, False))),
                "course": data.draw(st.sampled_from("ABC")),
            },
        )
        for each in range(number)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(occurrences, "MOST_LOOKED_AT", most)
        found = progress_of(badge, data.draw(deliveries(history)), {})
    looked_at = sorted(history, key=oracle.order)[-most:]
    assert as_decided(found) == as_the_oracle_says(badge, looked_at)
    assert all(len(each.occurrences.get(1, ())) <= most for each in found.values())


def test_a_penalty_that_should_say_of_what_it_takes_back_and_does_not_takes_nothing() -> None:
    rule, strike = Rule("is_passing", "eq", "true"), Rule("is_passing", "eq", "false")
    badge = Template(
        1,
        (Requirement(1, 1, "passed", None, (rule,), distinct="course"),),
        (Penalty(1, 1, "passed", frozenset({1}), (strike,)), Penalty(2, 1, "left", frozenset({1}), (strike,))),
        reaward=False,
    )
    earned = oracle.Event(UUID(int=1), day(1), "passed", {"is_passing": True, "course": "A"})
    unsaid = oracle.Event(UUID(int=2), day(2), "passed", {"is_passing": False, "course": None})
    left = oracle.Event(UUID(int=3), day(3), "left", {"is_passing": False})
    assert held_requirements(badge, [earned, unsaid]) == {"": {1}}
    assert held_requirements(badge, [earned, unsaid, left]) == {"": set()}


def test_one_value_may_be_enough_and_stands_until_it_is_taken_back_itself() -> None:
    any_course = requirement(distinct="course")
    assert decided(any_course, did(1, "A"), did(2, "B"), undid(3, "A")) == 2
    assert decided(any_course, did(1, "A"), undid(3, "A")) is None


def test_what_is_noted_counts_while_it_lies_in_the_span_of_now() -> None:
    noted = (did(1), did(2), did(3))
    assert decided(requirement(count=2, counts_from=day(2)), *noted) == 3
    assert decided(requirement(count=2, counts_until=day(2)), *noted) is None
