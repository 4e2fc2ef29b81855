"""The newest event decides; groups make a template complete."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rules import (
    Decision,
    Requirement,
    Ruleset,
    Template,
    complete,
    earned_at,
    groups,
    supersedes,
)

from . import oracle
from .strategies import configurations, deliveries, histories

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def decision(hours: int = 0, event: int = 1, fulfilled: bool = True) -> Decision:
    return Decision(NOON + timedelta(hours=hours), UUID(int=event), fulfilled)


def template(*letters: str | None) -> Template:
    """A template whose requirements 1, 2, ... are in the given groups."""
    numbered = enumerate(letters, start=1)
    requirements = tuple(Requirement(each, 1, "passing", letter, ()) for each, letter in numbered)
    return Template(1, requirements, (), reaward=False)


def test_the_later_event_decides() -> None:
    assert supersedes(decision(hours=1, fulfilled=False), decision(fulfilled=True))
    assert supersedes(decision(hours=1, fulfilled=True), decision(fulfilled=False))


def test_a_fulfillment_older_than_the_last_reset_does_not_count() -> None:
    assert not supersedes(decision(hours=-1, fulfilled=True), decision(fulfilled=False))


def test_a_reset_older_than_the_last_fulfillment_does_nothing() -> None:
    assert not supersedes(decision(hours=-1, fulfilled=False), decision(fulfilled=True))


def test_of_two_events_at_the_same_time_the_greater_id_decides() -> None:
    assert supersedes(decision(event=2, fulfilled=True), decision(event=1, fulfilled=False))
    assert not supersedes(decision(event=1, fulfilled=False), decision(event=2, fulfilled=True))


def test_an_event_that_fulfills_and_resets_the_same_requirement_leaves_it_reset() -> None:
    assert supersedes(decision(fulfilled=False), decision(fulfilled=True))
    assert not supersedes(decision(fulfilled=True), decision(fulfilled=False))


@pytest.mark.parametrize("fulfilled", [True, False])
def test_a_repeated_decision_changes_nothing(fulfilled: bool) -> None:
    assert not supersedes(decision(fulfilled=fulfilled), decision(fulfilled=fulfilled))


def test_times_are_compared_as_moments_whatever_their_zone() -> None:
    elsewhere = decision(hours=1).time.astimezone(datetime.strptime("+0900", "%z").tzinfo)
    assert supersedes(Decision(elsewhere, UUID(int=1), fulfilled=False), decision(event=9))


def test_requirements_of_one_letter_are_alternatives() -> None:
    badge = template("A", "A")
    assert complete(badge, {1})
    assert complete(badge, {2})
    assert complete(badge, {1, 2})
    assert not complete(badge, set())


def test_every_letter_must_be_fulfilled() -> None:
    badge = template("A", "A", "B")
    assert complete(badge, {1, 3})
    assert complete(badge, {2, 3})
    assert not complete(badge, {1, 2})
    assert not complete(badge, {3})


def test_requirements_without_a_group_are_groups_of_their_own() -> None:
    badge = template(None, None, "A")
    assert complete(badge, {1, 2, 3})
    assert not complete(badge, {1, 3})
    assert not complete(badge, {2, 3})
    assert not complete(badge, {1, 2})
    assert sorted(map(sorted, groups(badge))) == [[1], [2], [3]]


def test_a_template_without_requirements_is_never_complete() -> None:
    assert not complete(template(), set())
    assert not complete(template(), {1})


def test_requirements_of_other_templates_do_not_complete_a_template() -> None:
    assert not complete(template("A"), {2, 3})


def test_399_of_400_groups_are_not_complete() -> None:
    badge = template(*[None] * 400)
    assert not complete(badge, set(range(1, 400)))
    assert complete(badge, set(range(1, 401)))


def test_a_template_stays_complete_while_another_alternative_holds() -> None:
    assert complete(template("A", "A"), {2})


def test_a_badge_is_earned_when_the_last_group_is_first_fulfilled() -> None:
    badge = template("A", "A", None)
    decisions = {1: decision(hours=5), 2: decision(hours=2), 3: decision(hours=3)}
    assert earned_at(badge, decisions) == decision(hours=3).time


def test_a_reset_alternative_does_not_count_towards_the_time_earned() -> None:
    decisions = {1: decision(hours=1, fulfilled=False), 2: decision(hours=4)}
    assert earned_at(template("A", "A"), decisions) == decision(hours=4).time


@pytest.mark.parametrize("badge", [template(), template("A", "B"), template(None, "A")])
def test_an_incomplete_template_has_no_time_earned(badge: Template) -> None:
    with pytest.raises(ValueError, match="template 1 is not complete"):
        earned_at(badge, {1: decision(), 2: decision(fulfilled=False)})


@given(st.lists(st.sets(st.integers(0, 99)), min_size=1), st.data())
def test_completeness_is_what_the_oracle_says(held: list[set[int]], data: st.DataObject) -> None:
    for badge in data.draw(configurations()):
        for fulfilled in held:
            ids = {requirement.id for requirement in badge.requirements}
            some = fulfilled | data.draw(st.sets(st.sampled_from(sorted(ids)))) if ids else fulfilled
            assert complete(badge, some) == oracle.is_complete(badge, some)


Key = tuple[int, str, int]
"""A template, the value of its badge, and a requirement."""


def fold(ruleset: Ruleset, delivered: list[oracle.Event]) -> dict[Key, Decision]:
    """What remains when events come one at a time and only the winner of each pair is kept."""
    decisions: dict[Key, Decision] = {}
    for event in delivered:
        for match in ruleset.match(event.type, event.payload, event.time):
            news = [(key, True) for key in match.fulfills] + [(key, False) for key in match.resets]
            for requirement, fulfilled in news:
                key = (match.template.id, match.value, requirement)
                new = Decision(event.time, event.id, fulfilled)
                if key not in decisions or supersedes(new, decisions[key]):
                    decisions[key] = new
    return decisions


@given(configuration=configurations(), history=histories(), data=st.data())
def test_any_order_and_any_repetition_of_events_ends_as_the_oracle_says(
    configuration: list[Template], history: list[oracle.Event], data: st.DataObject
) -> None:
    decisions = fold(Ruleset(configuration), data.draw(deliveries(history)))
    for badge in configuration:
        for value, events in oracle.badges(badge, history).items():
            expected = {
                requirement.id: event.id
                for requirement in badge.requirements
                if (event := oracle.fulfilled_by(badge, requirement, events))
            }
            own = {key[2]: each for key, each in decisions.items() if key[:2] == (badge.id, value)}
            fulfilled = {key: each for key, each in own.items() if each.fulfilled}
            assert {key: each.event for key, each in fulfilled.items()} == expected
            earned = oracle.earned(badge, events)
            assert complete(badge, fulfilled) == (earned is not None)
            if earned is not None:
                assert earned_at(badge, own) == earned
