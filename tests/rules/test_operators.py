"""Comparing payload values with expected texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rules import Rule, compiled, key_of, keys_for, parse_boolean, value_at

from .oracle import FALSE, TRUE, satisfied
from .strategies import TEXTS, leaves, payloads, rules

NO_BOOLEANS = ["TRUE", "FALSE", "YES", "NO", "1", "0", "on", "off", " true", "true ", "t", "y", "", "None"]
ABSENT = ["absent", "course.absent", "course.course_key.absent", "is_passing.absent", ""]


def eq(actual: object, expected: str) -> bool:
    return compiled("eq", expected)(actual)


def ne(actual: object, expected: str) -> bool:
    return compiled("ne", expected)(actual)


@pytest.mark.parametrize("text", TRUE)
def test_each_accepted_spelling_of_true_equals_a_json_true_and_no_json_false(text: str) -> None:
    assert parse_boolean(text) is True
    assert eq(True, text)
    assert not ne(True, text)
    assert ne(False, text)
    assert not eq(False, text)


@pytest.mark.parametrize("text", FALSE)
def test_each_accepted_spelling_of_false_equals_a_json_false_and_no_json_true(text: str) -> None:
    assert parse_boolean(text) is False
    assert eq(False, text)
    assert not ne(False, text)
    assert ne(True, text)
    assert not eq(True, text)


@pytest.mark.parametrize("text", NO_BOOLEANS)
@pytest.mark.parametrize("actual", [True, False])
def test_a_boolean_differs_from_every_text_that_is_no_accepted_spelling(actual: bool, text: str) -> None:
    assert parse_boolean(text) is None
    assert ne(actual, text)
    assert not eq(actual, text)


def test_a_payload_text_is_compared_as_text_even_when_it_spells_a_boolean() -> None:
    assert eq("yes", "yes")
    assert not ne("yes", "yes")
    assert ne("yes", "true")
    assert not eq("yes", "true")


@pytest.mark.parametrize(
    ("number", "text"),
    [(5, "5"), (0, "0"), (-3, "-3"), (5.0, "5.0"), (0.1, "0.1"), (1e16, "1e+16"), (10**20, "1" + "0" * 20)],
)
def test_a_number_is_compared_by_its_shortest_text(number: float, text: str) -> None:
    assert eq(number, text)
    assert not ne(number, text)


@pytest.mark.parametrize(("number", "text"), [(5, "5.0"), (5.0, "5"), (1, "true"), (0, "false"), (1, "+")])
def test_a_number_differs_from_every_other_text(number: float, text: str) -> None:
    assert ne(number, text)
    assert not eq(number, text)


@pytest.mark.parametrize("nothing", [None, {}, [], {"a": 1}, ["true"]])
@pytest.mark.parametrize("text", ["", "None", "null", "{}", "[]", "true", "false"])
def test_null_and_containers_match_nothing_not_even_ne(nothing: object, text: str) -> None:
    assert not eq(nothing, text)
    assert not ne(nothing, text)


@pytest.mark.parametrize("operator", ["eq", "ne"])
@pytest.mark.parametrize("path", ABSENT)
def test_a_missing_path_matches_nothing_not_even_ne(operator: str, path: str) -> None:
    payload = {"is_passing": True, "course": {"course_key": "X"}}
    assert not Rule(path, operator, "true").matches(payload)
    assert not Rule(path, operator, "None").matches(payload)


def test_a_dotted_path_leads_through_nested_objects() -> None:
    assert value_at({"course": {"course_key": "X"}}, "course.course_key") == "X"
    assert value_at({"is_passing": False}, "is_passing") is False
    assert value_at({"course": ["X"]}, "course.0") is None


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operator 'like', expected one of eq, ne, gt"):
        Rule("grade", "like", "5")


@given(actual=leaves | st.text() | st.floats() | st.integers(), expected=st.sampled_from(TEXTS) | st.text())
def test_eq_holds_exactly_when_the_key_is_among_the_expected_keys(actual: object, expected: str) -> None:
    assert eq(actual, expected) == (key_of(actual) in keys_for(expected))
    assert eq(actual, expected) + ne(actual, expected) == (key_of(actual) is not None)


@given(rule=rules, payload=payloads)
def test_a_rule_matches_what_the_oracle_says(rule: Rule, payload: dict[str, object]) -> None:
    assert rule.matches(payload) == satisfied(rule, payload)
