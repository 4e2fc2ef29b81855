"""Counting, time, order, lists and badges per value in a file: what is read, and every reason to refuse it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml

from pipeline.configuration.document import read_document
from pipeline.configuration.entries import Known, RequirementEntry, RuleEntry
from pipeline.configuration.places import DocumentError
from pipeline.models.configuration import BADGE_EVENTS
from tests.configuration.files import CCX_EVENT, COURSE_EVENT, ORGANIZATION, TEMPLATE, problems, read

OTHER = UUID("4c1f2c6a-1a6e-4f29-8d53-7f0c3a5f9e22")
START = f"""\
version: 1
organizations: [{{uuid: {ORGANIZATION}}}]
templates:
  - uuid: {TEMPLATE}
    organization: {ORGANIZATION}
    name: Rich
"""
REQUIREMENTS = f"""\
    requirements:
      - id: first
        event_type: {COURSE_EVENT}
      - id: courses
        event_type: {COURSE_EVENT}
"""


def with_fields(*lines: str) -> str:
    """A file with these lines in the second requirement; the first of them is line 12."""
    return START + REQUIREMENTS + "".join(f"        {line}\n" for line in lines)


def with_rule(path: str, operator: str, value: str, event_type: str = COURSE_EVENT) -> str:
    rule = f"rules: [{{data_path: {path}, operator: {operator}, value: {value}}}]"
    return with_fields(rule).replace(COURSE_EVENT, event_type)


def requirement(text: str) -> RequirementEntry:
    return read(text).templates[0].requirements[1]


def test_a_requirement_asks_for_one_event_at_any_time_unless_it_says_more():
    entry = requirement(with_fields())
    assert (entry.count, entry.distinct, entry.within, entry.after) == (1, "", None, "")
    assert (entry.counts_from, entry.counts_until) == (None, None)


def test_counting_time_and_order_are_read():
    fields = ("count: 5", "distinct: course.course_key", "within: 90d", "from: 2026-03-01", "until: 2026-06-30")
    entry = requirement(with_fields(*fields, "after: first"))
    assert (entry.count, entry.distinct, entry.within, entry.after) == (
        5,
        "course.course_key",
        timedelta(days=90),
        "first",
    )
    assert entry.counts_from == datetime(2026, 3, 1, tzinfo=UTC)
    assert entry.counts_until == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2026-03-01T12:00:00+02:00", '"2026-03-01T10:00:00Z"', "2026-03-01 10:00:00Z"])
def test_a_limit_may_be_a_time_quoted_or_not(written: str):
    assert requirement(with_fields(f"from: {written}")).counts_from == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_a_template_may_have_one_badge_for_each_value():
    assert read(START + "    per: course.course_key\n" + REQUIREMENTS).templates[0].per == "course.course_key"
    assert read(START + REQUIREMENTS).templates[0].per == ""


@pytest.mark.parametrize(
    ("path", "operator", "written", "value"),
    [
        ("course.display_name", "in", "[Algebra, 'Calculus I', 5, no]", "Algebra\nCalculus I\n5\nno"),
        ("course.course_key", "not_in", "['course-v1:a+b+c']", "course-v1:a+b+c"),
        ("course.course_key", "starts_with", "'course-v1:OpenedX+'", "course-v1:OpenedX+"),
        ("course.display_name", "contains", "true", "true"),
        ("course.display_name", "matches", r"'(?i)algebra [0-9]+'", "(?i)algebra [0-9]+"),
        ("course.start", "lt", "2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"),
        ("course.start", "exists", "yes", "true"),
        ("course.start", "exists", "false", "false"),
        ("course.start", "exists", "'true'", "true"),
        ("is_passing", "exists", "true", "true"),
    ],
)
def test_each_operator_reads_its_value(path: str, operator: str, written: str, value: str):
    [rule] = requirement(with_rule(path, operator, written)).rules
    assert rule == RuleEntry(path, operator, value)


def test_numbers_are_compared_as_numbers_and_written_in_any_way():
    for number in ("25", "25.0", "2.5e1", "'25'"):
        [rule] = requirement(with_rule("course.max_students_allowed", "ge", number, CCX_EVENT)).rules
        assert rule.value == number.strip("'")


REFUSED = {
    "count as a text": (
        ["count: '5'"],
        "12: ",
        ".count: must be a whole number, not the text '5'; allowed: digits only, such as 5",
    ),
    "count in words": (
        ["count: many"],
        "12: ",
        ".count: must be a whole number, not the text 'many'; allowed: digits only, such as 5",
    ),
    "list for a count": (
        ["count: [5]"],
        "12: ",
        ".count: must be a whole number, not a list; allowed: digits only, such as 5",
    ),
    "half a count": (
        ["count: 2.5"],
        "12: ",
        ".count: must be a whole number, not the number '2.5'; allowed: digits only, such as 5",
    ),
    "octal count": (
        ["count: 010"],
        "12: ",
        ".count: must be a whole number, not the number '010'; allowed: digits only, such as 5",
    ),
    "more different booleans than there are": (
        ["count: 3", "distinct: is_passing"],
        "12: ",
        ".count: No more than 2 different values of is_passing can match",
    ),
    "count of nothing": (["count: 0"], "12: ", ".count: 0 events can't be asked for; allowed: 1 to 1000"),
    "too great a count": (["count: 1001"], "12: ", ".count: 1001 events can't be asked for; allowed: 1 to 1000"),
    "distinct times": (
        ["distinct: course.end"],
        "12: ",
        ".distinct: “course.end” is a time, which can be written in several ways: events can't be told apart by it",
    ),
    "within alone": (
        ["count: 1", "within: 90d"],
        "13: ",
        ".within: With a count of 1 this has no meaning: give the number of events that it takes",
    ),
    "foreign path": (
        ["count: 2", "distinct: course.ccx_course_key"],
        "13: ",
        ".distinct: “course.ccx_course_key” is no key path of “Course passed or failed”; "
        "allowed: is_passing, course.course_key, course.display_name, course.start, course.end",
    ),
    "length": (
        ["count: 2", "within: 3 months"],
        "13: ",
        ".within: “3 months” is no length of time. Write a number and w, d, h, m or s, such as 90d",
    ),
    "length without a unit": (
        ["count: 2", "within: 90"],
        "13: ",
        ".within: “90” is no length of time. Write a number and w, d, h, m or s, such as 90d",
    ),
    "no zone": (
        ["from: 2026-03-01T12:00:00"],
        "12: ",
        ".from: “2026-03-01T12:00:00” has no time zone. Add Z for UTC, or an offset such as +02:00",
    ),
    "no time": (
        ["until: soon"],
        "12: ",
        ".until: “soon” is neither a date such as 2026-03-01 nor a time such as 2026-03-01T12:00:00Z",
    ),
    "list for a time": (["until: [2026-03-01]"], "12: ", ".until: must be a text, not a list"),
    "end before the beginning": (
        ["from: 2026-03-02", "until: 2026-03-01"],
        "13: ",
        ".until: The end is not later than the beginning, so no event would ever count",
    ),
    "after nobody": (["after: third"], "12: ", ".after: “third” is no requirement of this template; allowed: first"),
    "after itself": (["after: courses"], "12: ", ".after: A requirement can't come after itself"),
    "empty after": (["after: ''"], "12: ", ".after: must not be empty"),
    "unknown key": (["counts: 5"], "12: ", ".counts: 'counts' is not a known key, did you mean 'count'?; allowed: "),
    "text for a list": (
        ["rules:", "  - {data_path: course.course_key, operator: in, value: a}"],
        "13: ",
        ".rules[0].value: must be a list of values for the operator 'in', not a text",
    ),
    "list for a text": (
        ["rules:", "  - {data_path: course.course_key, operator: eq, value: [a]}"],
        "13: ",
        ".rules[0].value: must be one value for the operator 'eq', not a list; "
        "allowed: one value, or the operator 'in' for one of several",
    ),
    "list for no text": (
        ["rules:", "  - {data_path: course.course_key, operator: ne, value: [a]}"],
        "13: ",
        ".rules[0].value: must be one value for the operator 'ne', not a list; "
        "allowed: one value, or the operator 'not_in' for none of several",
    ),
    "list for a part": (
        ["rules:", "  - {data_path: course.course_key, operator: contains, value: [a]}"],
        "13: ",
        ".rules[0].value: must be one value for the operator 'contains', not a list; allowed: one value",
    ),
    "list for a boolean": (
        ["rules:", "  - {data_path: is_passing, operator: in, value: [true, no]}"],
        "13: ",
        ".rules[0].operator: “in” is no operator for a value of the type boolean; allowed: eq, ne, exists",
    ),
    "time without a zone in an order": (
        ["rules:", "  - {data_path: course.start, operator: ge, value: 2026-05-01T00:00:00}"],
        "13: ",
        ".rules[0].value: “2026-05-01T00:00:00” does not fit the type of the key path, time; allowed: a time with its zone",
    ),
    "day for a time": (
        ["rules:", "  - {data_path: course.start, operator: eq, value: 2026-05-01}"],
        "13: ",
        ".rules[0].value: “2026-05-01” does not fit the type of the key path, time; allowed: a time with its zone",
    ),
    "empty list": (
        ["rules:", "  - {data_path: course.course_key, operator: in, value: []}"],
        "13: ",
        ".rules[0].value: needs at least one value",
    ),
    "empty value in a list": (
        ["rules:", "  - {data_path: course.display_name, operator: in, value: [a, '']}"],
        "13: ",
        ".rules[0].value[1]: must not be empty",
    ),
    "value of several lines in a list": (
        ["rules:", '  - {data_path: course.display_name, operator: in, value: ["a\\nb"]}'],
        "13: ",
        ".rules[0].value[0]: is more than one line",
    ),
    "misfit in a list": (
        ["rules:", "  - {data_path: course.course_key, operator: in, value: ['course-v1:a+b+c', Demo]}"],
        "13: ",
        ".rules[0].value[1]: “Demo” does not fit the type of the key path, course key; allowed: a course key such as "
        "course-v1:OpenedX+DemoX+Demo_Course",
    ),
    "endless list": (
        ["rules:", f"  - {{data_path: course.display_name, operator: in, value: [{'x' * 2000}, {'y' * 2000}]}}"],
        "13: ",
        ".rules[0].value: is too long: 4001 characters with the line breaks between; allowed: up to 4000",
    ),
    "pattern": (
        ["rules:", "  - {data_path: course.display_name, operator: matches, value: 'a(b'}"],
        "13: ",
        ".rules[0].value: 'a(b' is not a regular expression: missing ): a(b; "
        "allowed: a regular expression of RE2, which the whole value must match",
    ),
    "nothing to contain": (
        ["rules:", "  - {data_path: course.display_name, operator: contains, value: ''}"],
        "13: ",
        ".rules[0].value: must not be empty",
    ),
    "neither there nor not": (
        ["rules:", "  - {data_path: course.start, operator: exists, value: maybe}"],
        "13: ",
        ".rules[0].value: “maybe” says neither that there must be a value nor that there must be none; "
        "allowed: true, false",
    ),
}


@pytest.mark.parametrize(("fields", "line", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_with_line_path_and_what_is_allowed(fields: list[str], line: str, problem: str):
    [told] = problems(with_fields(*fields))
    assert told.startswith(f"badges.yaml:{line}templates[0].requirements[1]{problem}")


@pytest.mark.parametrize("operator", ["eq", "ne"])
@pytest.mark.parametrize("written", ["2026-05-01T00:00:00", "'2026-05-01 00:00'"])
def test_a_time_without_a_zone_that_must_be_equal_is_one_of_utc_with_a_warning(operator: str, written: str):
    document = read(with_rule("course.start", operator, written))
    [rule] = document.templates[0].requirements[1].rules
    assert rule.value == "2026-05-01T00:00:00+00:00"
    [warning] = document.warnings
    assert warning.startswith("badges.yaml:12: templates[0].requirements[1].rules[0].value: '2026-05-01")
    assert warning.endswith("has no time zone and is taken as '2026-05-01T00:00:00+00:00'")
    assert read(with_rule("course.start", operator, "2026-05-01T00:00:00Z")).warnings == ()
    assert read(with_rule("course.display_name", operator, "2026-05-01T00:00:00")).warnings == ()


def test_a_circle_of_requirements_is_refused_at_each():
    text = with_fields("after: third") + f"      - {{id: third, event_type: {COURSE_EVENT}, after: courses}}\n"
    words = "after: The requirements come after each other in a circle"
    assert problems(text) == [
        f"badges.yaml:12: templates[0].requirements[1].{words}: courses after third after courses",
        f"badges.yaml:13: templates[0].requirements[2].{words}: third after courses after third",
    ]


def test_what_comes_after_something_that_begins_when_its_own_time_is_over_is_refused():
    text = with_fields("until: 2026-06-30", "after: first")
    text = text.replace("      - id: courses\n", "        from: 2026-07-01\n      - id: courses\n")
    [problem] = problems(text)
    assert problem.startswith(
        "badges.yaml:14: templates[0].requirements[1].after: “first”, which must be fulfilled before"
    )


def test_a_badge_per_value_needs_the_path_in_every_event_type_of_the_template():
    penalty = f"""\
    penalties:
      - id: ccx
        event_type: {CCX_EVENT}
        requirements: [first]
        rules: [{{data_path: is_passing, operator: eq, value: false}}]
"""
    [told] = problems(START + "    per: course.course_key\n" + REQUIREMENTS + penalty)
    assert told.startswith(
        "badges.yaml:7: templates[0].per: “course.course_key” is no key path of “Custom course (CCX) passed or failed”"
    )


def test_a_badge_per_value_needs_a_path_that_some_event_type_has_also_before_there_is_a_requirement():
    [told] = problems(START + "    per: nonsense\n")
    assert told.startswith(
        "badges.yaml:7: templates[0].per: “nonsense” is no key path of any event type that badges may use; "
        "allowed: is_passing, course.course_key, "
    )
    assert problems(START + "    per: course.ccx_course_key\n") == []


@pytest.mark.parametrize(
    ("stored", "line", "words"),
    [
        (
            "",
            "    per: course.course_key\n",
            "in all: no event would reach these any more. For one badge for each value of",
        ),
        ("course.course_key", "    per: ''\n", "must not be empty"),
        (
            "course.course_key",
            "",
            "for each value of course.course_key: no event would reach these any more. For one badge in",
        ),
        ("course.course_key", "    per: is_passing\n", "allowed: course.course_key"),
        ("course.course_key", "    per: course.course_key\n", ""),
        ("", "", ""),
    ],
)
def test_what_a_template_has_a_badge_for_stays_once_learners_go_by_it(stored: str, line: str, words: str):
    told = refused(START + line + REQUIREMENTS, Known(per={TEMPLATE: stored}))
    assert words in " ".join(told)
    assert bool(told) is bool(words)
    assert all(": templates[0].per: " in problem for problem in told)
    assert refused(START + line + REQUIREMENTS, Known(per={OTHER: "else"})) == [
        problem for problem in told if "must not be empty" in problem
    ]


def test_values_can_not_differ_within_a_badge_of_each():
    text = with_fields("count: 2", "distinct: course.course_key").replace(
        "    name: Rich\n", "    name: Rich\n    per: course.course_key\n"
    )
    [told] = problems(text)
    assert told.startswith("badges.yaml:14: templates[0].requirements[1].distinct: The template has a badge for each")


def refused(text: str, known: Known) -> list[str]:
    try:
        read_document(text.encode(), "badges.yaml", known)
    except DocumentError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(("told_by_credly", "count"), [({TEMPLATE: True}, 0), ({}, 0), ({TEMPLATE: False}, 1)])
def test_a_badge_per_value_needs_duplicates_where_credly_has_told(told_by_credly: dict[UUID, bool], count: int):
    text = START + "    per: course.course_key\n" + REQUIREMENTS
    told = refused(text, Known(allows_duplicates=told_by_credly))
    assert len(told) == count
    assert all("7: templates[0].per: Credly lets a learner hold this badge only once." in line for line in told)


def needing(*pairs: tuple[UUID, UUID], event_type: str = BADGE_EVENTS[0]) -> str:
    templates: list[dict[str, Any]] = [
        {
            "uuid": str(needy),
            "organization": str(ORGANIZATION),
            "name": "Needy",
            "requirements": [
                {
                    "id": "badge",
                    "event_type": event_type,
                    "rules": [{"data_path": "template.uuid", "operator": "in", "value": [str(needed)]}],
                }
            ],
        }
        for needy, needed in pairs
    ]
    return yaml.safe_dump({"version": 1, "organizations": [{"uuid": str(ORGANIZATION)}], "templates": templates})


@pytest.mark.parametrize("event_type", BADGE_EVENTS)
def test_templates_that_need_each_others_badges_are_refused(event_type: str):
    words = "the template would need a badge of its own"
    assert [line.partition(" ")[2] for line in problems(needing((TEMPLATE, TEMPLATE), event_type=event_type))] == [
        f"templates[0]: {words}: {TEMPLATE} needs {TEMPLATE}"
    ]
    both = needing((TEMPLATE, OTHER), (OTHER, TEMPLATE), event_type=event_type)
    assert [line.partition(" ")[2] for line in problems(both)] == [
        f"templates[0]: {words}: {TEMPLATE} needs {OTHER} needs {TEMPLATE}",
        f"templates[1]: {words}: {OTHER} needs {TEMPLATE} needs {OTHER}",
    ]


def test_a_circle_over_file_and_database_is_refused():
    known = Known(needs={OTHER: {TEMPLATE}})
    assert refused(needing((TEMPLATE, UUID(int=5))), known) == []
    [told] = refused(needing((TEMPLATE, OTHER)), known)
    assert f"{TEMPLATE} needs {OTHER} needs {TEMPLATE}" in told


def test_a_file_may_open_a_circle_of_the_database():
    known = Known(needs={OTHER: {TEMPLATE}, TEMPLATE: {OTHER}})
    assert refused(needing((TEMPLATE, UUID(int=5))), known) == []
    assert refused(START + REQUIREMENTS, known) == []


def test_a_badge_of_a_template_that_there_is_not_is_worth_a_look():
    [warning] = read(needing((TEMPLATE, OTHER))).warnings
    assert (
        ": templates[0].requirements[0].rules[0].value: 4c1f2c6a-1a6e-4f29-8d53-7f0c3a5f9e22 is a template of neither"
    ) in warning
    assert read(needing((TEMPLATE, OTHER), (OTHER, UUID(int=5)))).warnings[0].count("000000000005") == 1
    assert read_document(needing((TEMPLATE, OTHER)).encode(), "badges.yaml", Known(templates={OTHER})).warnings == ()


def test_a_penalty_that_goes_by_a_badge_of_no_template_is_worth_a_look():
    penalty = f"""\
    penalties:
      - id: lost
        event_type: {BADGE_EVENTS[1]}
        requirements: [first]
        rules: [{{data_path: template.uuid, operator: eq, value: {OTHER}}}]
"""
    [warning] = read(START + REQUIREMENTS + penalty).warnings
    text = START + REQUIREMENTS + penalty
    line = text[: text.index(str(OTHER))].count("\n") + 1
    assert warning.startswith(
        f"badges.yaml:{line}: templates[0].penalties[0].rules[0].value: {OTHER} is a template of neither"
    )


def test_a_badge_needs_a_rule_that_says_whose():
    text = with_fields().replace(COURSE_EVENT, BADGE_EVENTS[0])
    assert [line.partition(" ")[2].partition(":")[0] for line in problems(text)] == [
        "templates[0].requirements[0].rules",
        "templates[0].requirements[1].rules",
    ]
    assert "“Badge awarded” needs a rule that says whose badge: template.uuid" in problems(text)[0]


def test_a_badge_that_takes_back_needs_such_a_rule_too():
    penalty = f"""\
    penalties:
      - id: lost
        event_type: {BADGE_EVENTS[1]}
        requirements: [first]
        rules: [{{data_path: template.name, operator: eq, value: Gold}}]
"""
    [told] = problems(START + REQUIREMENTS + penalty)
    assert told.startswith("badges.yaml:16: templates[0].penalties[0].rules: “Badge revoked” needs a rule")
