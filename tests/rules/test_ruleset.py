"""Finding what an event does to which template."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given

import pipeline.rules
from pipeline.rules import Match, Penalty, Requirement, Rule, Ruleset, Template

from . import oracle
from .strategies import configurations, event_types, payloads

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


@given(configuration=configurations(), event_type=event_types, payload=payloads)
def test_match_finds_what_brute_force_over_all_templates_finds(
    configuration: list[Template], event_type: str, payload: dict[str, object]
) -> None:
    found = Ruleset(configuration).match(event_type, payload, NOON)
    assert [(m.template.id, set(m.fulfills), set(m.resets)) for m in found] == oracle.matches(
        configuration, event_type, payload
    )


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


def lookups_at(size: int) -> int:
    """How often one match looks into the payload when there are `size` templates, each of its own course."""
    badges = []
    for each in range(1, size + 1):
        course = Rule("course.course_key", "eq", f"course-{each}")
        passed = requirement(PASSING, course, id=each, template=each)
        failed = penalty(FAILING, course, template=each, resets=frozenset({each}))
        badges.append(template(passed, penalties=(failed,), id=each))
    payload = CountingPayload({"is_passing": True, "course": {"course_key": "course-7"}}, [])
    [match] = Ruleset(badges).match("passing", payload, NOON)
    assert match.fulfills == {7}
    return len(payload.lookups)


def test_the_work_of_a_match_does_not_grow_with_the_number_of_templates() -> None:
    assert 0 < lookups_at(10) == lookups_at(10_000) < 10


def test_the_rules_work_without_django_and_celery() -> None:
    script = "import sys, rules; sys.exit(not sys.modules.keys().isdisjoint({'django', 'celery'}))"
    folder = Path(pipeline.rules.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", script], cwd=folder).returncode == 0
