"""Finding what an event does to which template."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.rules
from pipeline.rules import LONGEST_TEXT_OF_VALUE, Match, Penalty, Requirement, Rule, Ruleset, Template

from . import oracle
from .strategies import configurations, day, event_types, payloads

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
PASSING = Rule("is_passing", "eq", "true")
FAILING = Rule("is_passing", "eq", "false")
DEMO = Rule("course.course_key", "eq", "demo")
DEMO_PASSED = {"is_passing": True, "course": {"course_key": "demo"}}
DEMO_FAILED = {"is_passing": False, "course": {"course_key": "demo"}}


def requirement(*rules: Rule, id: int = 1, template: int = 1, event_type: str = "passing") -> Requirement:
    return Requirement(id, template, event_type, None, rules)


def penalty(*rules: Rule, template: int = 1, resets: frozenset[int] = frozenset({1})) -> Penalty:
    return Penalty(1, template, "passing", resets, rules)


def template(*requirements: Requirement, penalties: tuple[Penalty, ...] = (), id: int = 1) -> Template:
    return Template(id, requirements, penalties, reaward=False)


def test_all_rules_of_a_requirement_must_match() -> None:
    badge = template(requirement(PASSING, DEMO))
    ruleset = Ruleset([badge])
    assert ruleset.match("passing", DEMO_PASSED, NOON) == [Match(badge, frozenset({1}), frozenset())]
    assert ruleset.match("passing", DEMO_FAILED, NOON) == []
    assert ruleset.match("passing", {"is_passing": True, "course": {"course_key": "other"}}, NOON) == []


def test_a_requirement_with_no_rules_matches_every_event_of_its_type_and_no_other() -> None:
    badge = template(requirement())
    ruleset = Ruleset([badge])
    assert ruleset.match("passing", {}, NOON) == [Match(badge, frozenset({1}), frozenset())]
    assert ruleset.match("enrolled", {}, NOON) == []


def test_a_requirement_with_only_ne_rules_is_found() -> None:
    badge = template(requirement(Rule("course.course_key", "ne", "other")))
    ruleset = Ruleset([badge])
    assert ruleset.match("passing", DEMO_PASSED, NOON) == [Match(badge, frozenset({1}), frozenset())]
    assert ruleset.match("passing", {"course": {"course_key": "other"}}, NOON) == []
    assert ruleset.match("passing", {}, NOON) == []


def test_two_contradicting_rules_on_one_path_never_match() -> None:
    ruleset = Ruleset([template(requirement(PASSING, FAILING))])
    assert ruleset.match("passing", DEMO_PASSED, NOON) == []
    assert ruleset.match("passing", DEMO_FAILED, NOON) == []


def test_a_penalty_resets_only_its_requirements() -> None:
    badge = template(
        requirement(PASSING, DEMO, id=1),
        requirement(PASSING, DEMO, id=2),
        penalties=(penalty(FAILING, DEMO),),
    )
    assert Ruleset([badge]).match("passing", DEMO_FAILED, NOON) == [Match(badge, frozenset(), frozenset({1}))]


def test_all_rules_of_a_penalty_must_match() -> None:
    badge = template(requirement(PASSING), penalties=(penalty(FAILING, DEMO),))
    assert Ruleset([badge]).match("passing", {"is_passing": False, "course": {"course_key": "other"}}, NOON) == []


def test_a_penalty_with_no_rules_never_matches() -> None:
    badge = template(requirement(PASSING), penalties=(penalty(),))
    assert Ruleset([badge]).match("passing", DEMO_FAILED, NOON) == []


def test_a_penalty_that_resets_nothing_touches_nothing() -> None:
    badge = template(requirement(PASSING), penalties=(penalty(FAILING, resets=frozenset()),))
    assert Ruleset([badge]).match("passing", DEMO_FAILED, NOON) == []


def test_several_penalties_of_one_template_add_up() -> None:
    badge = template(
        requirement(PASSING, id=1),
        requirement(PASSING, id=2),
        penalties=(penalty(FAILING), penalty(DEMO, resets=frozenset({2}))),
    )
    assert Ruleset([badge]).match("passing", DEMO_FAILED, NOON) == [Match(badge, frozenset(), frozenset({1, 2}))]


def test_an_event_that_fulfills_and_resets_the_same_requirement_reports_both() -> None:
    badge = template(requirement(DEMO), penalties=(penalty(DEMO),))
    assert Ruleset([badge]).match("passing", DEMO_PASSED, NOON) == [Match(badge, frozenset({1}), frozenset({1}))]


def test_matches_are_ordered_by_template_id() -> None:
    badges = [template(requirement(DEMO, template=each), id=each) for each in (3, 1, 2)]
    assert [match.template.id for match in Ruleset(badges).match("passing", DEMO_PASSED, NOON)] == [1, 2, 3]


def test_a_template_without_requirements_takes_no_part() -> None:
    ruleset = Ruleset([template(penalties=(penalty(FAILING),))])
    assert ruleset.template(1) is None
    assert ruleset.event_types == frozenset()
    assert ruleset.match("passing", DEMO_FAILED, NOON) == []


def test_a_template_is_found_by_its_id() -> None:
    badge = template(requirement())
    assert Ruleset([badge]).template(1) is badge
    assert Ruleset([badge]).template(2) is None


def test_event_types_are_those_of_requirements_and_penalties() -> None:
    badge = template(requirement(event_type="enrolled"), penalties=(penalty(FAILING),))
    assert Ruleset([badge]).event_types == {"enrolled", "passing"}


@pytest.mark.parametrize("spelling", oracle.TRUE)
def test_the_index_finds_a_boolean_by_every_accepted_spelling(spelling: str) -> None:
    badge = template(requirement(Rule("is_passing", "eq", spelling)))
    assert Ruleset([badge]).match("passing", DEMO_PASSED, NOON) == [Match(badge, frozenset({1}), frozenset())]


@given(configuration=configurations(), event_type=event_types, payload=payloads, time=st.integers(0, 3).map(day))
def test_match_finds_what_brute_force_over_all_templates_finds(
    configuration: list[Template], event_type: str, payload: dict[str, object], time: datetime
) -> None:
    event = oracle.Event(UUID(int=1), time, event_type, payload)
    found = Ruleset(configuration).match(event_type, payload, time)
    assert [(m.template.id, set(m.fulfills), set(m.resets)) for m in found] == oracle.matches(configuration, event)
    assert all(match.value == oracle.badge_value(match.template, event) for match in found)


def test_the_index_finds_each_value_that_in_lists() -> None:
    badge = template(requirement(Rule("course.course_key", "in", "demo\nmath")))
    ruleset = Ruleset([badge])
    for key, expected in (("demo", 1), ("math", 1), ("demo\nmath", 0), ("dem", 0), ("", 0)):
        assert len(ruleset.match("passing", {"course": {"course_key": key}}, NOON)) == expected


@pytest.mark.parametrize("operator", ["eq", "in"])
def test_the_index_finds_a_number_and_a_time_however_they_are_written(operator: str) -> None:
    numbers = Ruleset([template(requirement(Rule("grade", operator, "80", "number")))])
    times = Ruleset([template(requirement(Rule("due", operator, "2030-01-01T12:00:00Z", "time")))])
    assert all(numbers.match("passing", {"grade": grade}, NOON) for grade in (80, 80.0))
    assert all(times.match("passing", {"due": f"2030-01-01T{due}"}, NOON) for due in ("12:00", "14:00+02:00"))


def test_an_event_meets_a_condition_once_however_often_a_list_names_its_value() -> None:
    badge = template(requirement(Rule("is_passing", "in", "true\nyes\ntrue")), requirement(DEMO, id=2))
    assert Ruleset([badge]).match("passing", DEMO_PASSED, NOON) == [Match(badge, frozenset({1, 2}), frozenset())]


def spanning(start: datetime | None = None, end: datetime | None = None) -> Ruleset:
    return Ruleset([template(Requirement(1, 1, "passing", None, (), counts_from=start, counts_until=end))])


def test_events_count_from_the_first_moment_of_a_span_and_no_longer_at_its_end() -> None:
    a_moment = timedelta(microseconds=1)
    span = spanning(NOON, NOON + timedelta(days=1))
    times = [NOON - a_moment, NOON, NOON + timedelta(days=1) - a_moment, NOON + timedelta(days=1)]
    assert [len(span.match("passing", {}, time)) for time in times] == [0, 1, 1, 0]
    assert [len(spanning(NOON).match("passing", {}, time)) for time in times] == [0, 1, 1, 1]
    assert [len(spanning(end=NOON).match("passing", {}, time)) for time in times] == [1, 0, 0, 0]


def test_a_span_is_of_moments_whatever_zone_they_are_written_in() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    assert spanning(NOON).match("passing", {}, elsewhere)
    assert not spanning(end=NOON).match("passing", {}, elsewhere)


def test_a_penalty_strikes_at_any_time() -> None:
    passed = Requirement(1, 1, "passing", None, (PASSING,), counts_until=NOON)
    badge = template(passed, penalties=(penalty(FAILING),))
    [match] = Ruleset([badge]).match("passing", DEMO_FAILED, NOON + timedelta(days=9))
    assert match.resets == {1}


@pytest.mark.parametrize("nothing", [{}, {"course": None}, {"course": {}}, {"course": []}])
def test_an_event_without_a_value_to_differ_in_does_not_count(nothing: dict[str, object]) -> None:
    badge = template(Requirement(1, 1, "passing", None, (), count=2, distinct="course"))
    assert Ruleset([badge]).match("passing", nothing, NOON) == []
    assert len(Ruleset([badge]).match("passing", {"course": ""}, NOON)) == 1


def test_a_penalty_of_another_type_without_that_value_strikes_and_one_of_the_same_does_not() -> None:
    counting = Requirement(1, 1, "passing", None, (PASSING,), count=2, distinct="course.course_key")
    other = replace(penalty(FAILING), event_type="left")
    badge = template(counting, penalties=(penalty(FAILING), other))
    [other_type] = Ruleset([badge]).match("left", {"is_passing": False}, NOON)
    assert other_type.resets == {1}
    assert Ruleset([badge]).match("passing", {"is_passing": False}, NOON) == []
    assert counting.value_in({"is_passing": False}) is None


def per_course(*penalties: Penalty) -> Template:
    return replace(template(requirement(PASSING), penalties=penalties), per="course.course_key")


def test_a_badge_per_value_is_about_the_value_that_the_event_has() -> None:
    ruleset = Ruleset([per_course(penalty(FAILING))])
    assert [each.value for each in ruleset.match("passing", DEMO_PASSED, NOON)] == ["demo"]
    assert [each.value for each in ruleset.match("passing", DEMO_FAILED, NOON)] == ["demo"]


@pytest.mark.parametrize("key", [None, "", [], {}])
def test_an_event_without_a_value_is_about_none_of_the_badges_per_value(key: object) -> None:
    """An empty one would be the badge of a template that has but one."""
    ruleset = Ruleset([per_course()])
    assert ruleset.match("passing", {"is_passing": True, "course": {"course_key": key}}, NOON) == []
    assert ruleset.match("passing", {"is_passing": True}, NOON) == []


def test_values_are_told_apart_by_their_text_and_long_ones_by_a_hash_of_it() -> None:
    badge = replace(template(requirement()), per="it")
    values = [True, "true", 5, 5.0, "a" * 255, "a" * 256, "a" * 257, "a", "a ", "\ud800" * 256]
    found = [match.value for each in values for match in Ruleset([badge]).match("passing", {"it": each}, NOON)]
    assert found[:5] == ["true", "true", "5", "5", "a" * 255]
    assert len(set(found[4:])) == 6
    assert all(len(value) <= LONGEST_TEXT_OF_VALUE for value in found)


class CountingPayload(Mapping[str, object]):
    """A payload that counts every look into it, at any depth: the work of a match, without a clock."""

    def __init__(self, content: dict[str, object], lookups: list[str]) -> None:
        self._content = content
        self.lookups = lookups

    def __getitem__(self, key: str) -> object:
        self.lookups.append(key)
        value = self._content[key]
        return CountingPayload(value, self.lookups) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def lookups_at(size: int, operator: str = "eq") -> int:
    """How often one match looks into the payload when there are `size` templates, each of its own course."""
    badges = []
    for each in range(1, size + 1):
        listed = f"course-{each}\ncourse-{each}-again" if operator == "in" else f"course-{each}"
        course = Rule("course.course_key", operator, listed)
        passed = requirement(PASSING, course, id=each, template=each)
        failed = penalty(FAILING, course, template=each, resets=frozenset({each}))
        badges.append(template(passed, penalties=(failed,), id=each))
    payload = CountingPayload({"is_passing": True, "course": {"course_key": "course-7"}}, [])
    [match] = Ruleset(badges).match("passing", payload, NOON)
    assert match.fulfills == {7}
    return len(payload.lookups)


def test_the_work_of_a_match_does_not_grow_with_the_number_of_templates() -> None:
    assert 0 < lookups_at(10) == lookups_at(10_000) < 10
    assert 0 < lookups_at(10, "in") == lookups_at(10_000, "in") < 10


def test_the_rules_work_without_django_and_celery() -> None:
    script = "import sys, rules; sys.exit(not sys.modules.keys().isdisjoint({'django', 'celery'}))"
    folder = Path(pipeline.rules.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", script], cwd=folder).returncode == 0
