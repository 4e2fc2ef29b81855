"""Comparing payload values with expected texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rules import OPERATORS, Kind, Rule, compiled, key_of, keys_for, parse_boolean, value_at

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


def holds(operator: str, actual: object, expected: str, kind: Kind = "text") -> bool:
    return compiled(operator, expected, kind)(actual)


NUMBERS = [-(10**30), -1, 0, 0.0, -0.0, 0.1, 1, 5, 5.0, 2**53 - 1, 2**53, 2**53 + 1, float(2**53), 10**20, 1e20, 1e308]


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
@pytest.mark.parametrize("actual", NUMBERS, ids=repr)
@pytest.mark.parametrize("expected", NUMBERS, ids=repr)
def test_numbers_compare_as_numbers(operator: str, actual: float, expected: float) -> None:
    compare = {"gt": actual > expected, "ge": actual >= expected, "lt": actual < expected, "le": actual <= expected}
    assert holds(operator, actual, repr(expected), "number") == compare[operator]


@pytest.mark.parametrize("actual", NUMBERS, ids=repr)
@pytest.mark.parametrize("expected", NUMBERS, ids=repr)
def test_numbers_are_equal_exactly_when_neither_is_greater(actual: float, expected: float) -> None:
    text = repr(expected)
    equal = holds("ge", actual, text, "number") and holds("le", actual, text, "number")
    assert holds("eq", actual, text, "number") == holds("in", actual, text, "number") == equal
    assert holds("ne", actual, text, "number") == holds("not_in", actual, text, "number") == (not equal)


@pytest.mark.parametrize(
    ("actual", "text"),
    [
        (25, "25.0"),
        (25.0, "25"),
        (-0.0, "0"),
        (0.0, "-0.0"),
        (100, "1e2"),
        (0.1, "0.10"),
        (10**20, "1e20"),
        (0, "-0"),
    ],
)
def test_a_number_equals_every_way_to_write_it(actual: float, text: str) -> None:
    assert holds("eq", actual, text, "number")
    assert not holds("ne", actual, text, "number")


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
@pytest.mark.parametrize("actual", [None, True, False, "5", "6", "", "five", [], [6], {}, {"a": 6}, float("nan")])
def test_what_is_no_number_is_neither_greater_nor_less_than_one(operator: str, actual: object) -> None:
    assert not holds(operator, actual, "5", "number")


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
@pytest.mark.parametrize("text", ["", "five", "5,0", "0x10", "1_000", " 5", "+5", ".5", "5.", "nan", "inf", "1e400"])
def test_an_expected_text_that_is_no_number_is_refused(operator: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        compiled(operator, text, "number")


def test_digits_of_other_scripts_write_no_number() -> None:
    with pytest.raises(ValueError, match="is not a number"):
        compiled("ge", "\N{ARABIC-INDIC DIGIT FIVE}", "number")


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
def test_texts_are_neither_greater_nor_less(operator: str) -> None:
    with pytest.raises(ValueError, match="only numbers and times can be greater or less"):
        compiled(operator, "5", "text")


SAME_MOMENT = ["2030-01-01T12:00:00Z", "2030-01-01T12:00:00+00:00", "2030-01-01T14:00:00+02:00", "2030-01-01T12:00"]


@pytest.mark.parametrize("actual", SAME_MOMENT)
@pytest.mark.parametrize("expected", SAME_MOMENT)
def test_times_are_equal_as_moments_and_without_a_zone_are_utc(actual: str, expected: str) -> None:
    for operator in ("eq", "in", "ge", "le"):
        assert holds(operator, actual, expected, "time")
    for operator in ("ne", "not_in", "gt", "lt"):
        assert not holds(operator, actual, expected, "time")


@pytest.mark.parametrize("expected", SAME_MOMENT)
@pytest.mark.parametrize(
    ("actual", "later"),
    [("2030-01-01T12:00:00.000001Z", True), ("2030-01-01", False), ("2030-01-01T13:59:59+02:00", False)],
)
def test_times_compare_as_moments(actual: str, later: bool, expected: str) -> None:
    assert holds("gt", actual, expected, "time") == holds("ge", actual, expected, "time") == later
    assert holds("lt", actual, expected, "time") == holds("le", actual, expected, "time") == (not later)
    assert holds("ne", actual, expected, "time")


@pytest.mark.parametrize("actual", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_at_the_ends_of_the_calendar_compare_too(actual: str) -> None:
    assert holds("lt", actual, "2030-01-01", "time") == actual.startswith("0001")
    assert holds("gt", actual, "2030-01-01", "time") == actual.startswith("9999")


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le", "eq", "in"])
@pytest.mark.parametrize("actual", [None, True, 0, 1e9, "", "soon", "2030-13-01", [], {}])
def test_what_is_no_time_is_neither_at_nor_before_nor_after_one(operator: str, actual: object) -> None:
    assert not holds(operator, actual, "2030-01-01", "time")


@pytest.mark.parametrize("text", ["", "soon", "2030-13-01", "01.01.2030", "12:00"])
def test_an_expected_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|month must be"):
        compiled("lt", text, "time")


def test_in_takes_one_value_from_each_line() -> None:
    assert [holds("in", each, "A\nB\n") for each in ("A", "B", "", "A\nB", "a", None)] == [True, True] + [False] * 4
    assert [holds("not_in", each, "A\nB\n") for each in ("A", "B", "", "A\nB", "a")] == [False, False] + [True] * 3
    assert holds("in", True, "yes\nno")
    assert holds("in", False, "yes\nno")
    assert holds("in", 5.0, "4\n5", "number")
    assert not holds("not_in", 5.0, "4\n5", "number")


@pytest.mark.parametrize("operator", ["in", "not_in"])
@pytest.mark.parametrize("text", ["", "\n", "\n\n"])
def test_a_list_without_values_is_refused(operator: str, text: str) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        compiled(operator, text)


def test_contains_and_starts_with_look_at_texts_and_at_their_case() -> None:
    assert holds("contains", "course-v1:X", "-v1:")
    assert not holds("contains", "course-v1:X", "V1")
    assert holds("starts_with", "course-v1:X", "course-")
    assert not holds("starts_with", "course-v1:X", "v1")


@pytest.mark.parametrize("operator", ["contains", "starts_with", "matches"])
@pytest.mark.parametrize("actual", [None, True, 5, 5.0, [], ["5"], {}, {"5": 5}])
def test_what_is_no_text_contains_nothing(operator: str, actual: object) -> None:
    assert not holds(operator, actual, "5")
    assert not holds(operator, actual, "")


@pytest.mark.parametrize(
    ("pattern", "actual", "expected"),
    [
        ("course-v1:.*", "course-v1:X", True),
        ("course", "course-v1:X", False),
        ("v1", "course-v1:X", False),
        ("a|ab", "ab", True),
        ("A", "a", False),
        ("(?i)A", "a", True),
        ("é+", "éé", True),
        ("", "", True),
        ("a.b", "a\nb", False),
    ],
)
def test_a_pattern_must_match_the_whole_value(pattern: str, actual: str, expected: bool) -> None:
    assert holds("matches", actual, pattern) == expected


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "*", r"(a)\1", "(?=a)", "(?P<n>", "a{9999}"])
def test_what_is_no_pattern_or_needs_backtracking_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression: "):
        compiled("matches", pattern)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|aa)*", "(a|a)*b", "(.*)*x", "(a?){30}a{30}", "([a-z]+)*1"])
def test_a_pattern_that_blows_up_other_engines_ends_at_once(pattern: str) -> None:
    """Linear in the text: with backtracking, 2**50000 steps; the suite's time limit would strike."""
    assert not holds("matches", "a" * 50_000 + "!", pattern)


@pytest.mark.parametrize("pattern", ["(((a{100}){100}){100})", "[^a]{1000}" * 50])
def test_a_pattern_that_needs_much_memory_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression: "):
        compiled("matches", pattern)


@pytest.mark.parametrize("actual", ["", "x", 0, 0.0, False, True, [], {}])
def test_exists_asks_for_anything_but_null(actual: object) -> None:
    assert holds("exists", actual, "true")
    assert not holds("exists", actual, "false")
    assert holds("exists", None, "no")
    assert not holds("exists", None, "yes")


def test_only_exists_with_false_is_satisfied_by_a_path_that_is_missing_or_null() -> None:
    expected = {"gt": "5", "ge": "5", "lt": "5", "le": "5", "exists": "true"}
    for payload in ({}, {"it": None}, {"it": {}}):
        for operator in OPERATORS:
            kind: Kind = "number" if operator in ("gt", "ge", "lt", "le") else "text"
            assert not Rule("it.value", operator, expected.get(operator, ".*"), kind).matches(payload), operator
        assert Rule("it.value", "exists", "false").matches(payload)


@pytest.mark.parametrize("text", ["", "1", "maybe", "TRUE"])
def test_exists_is_asked_with_a_boolean(text: str) -> None:
    with pytest.raises(ValueError, match="is neither true nor false"):
        compiled("exists", text)


@given(actual=leaves | st.text() | st.floats() | st.integers(), expected=st.sampled_from(TEXTS) | st.text())
def test_eq_holds_exactly_when_the_key_is_among_the_expected_keys(actual: object, expected: str) -> None:
    assert eq(actual, expected) == (key_of(actual) in keys_for(expected))
    assert eq(actual, expected) + ne(actual, expected) == (key_of(actual) is not None)


@settings(max_examples=1000)
@given(rule=rules, payload=payloads)
def test_a_rule_matches_what_the_oracle_says(rule: Rule, payload: dict[str, object]) -> None:
    assert rule.matches(payload) == satisfied(rule, payload)
