"""What is read from a file, and every reason to refuse one, with its line, path and what is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus.catalogue import badge_event_types, key_paths
from pipeline.configuration import places
from pipeline.configuration.document import read_document
from pipeline.configuration.entries import Known, RuleEntry
from pipeline.configuration.places import DocumentError
from tests.configuration.files import (
    CCX_EVENT,
    COURSE_EVENT,
    EXAMPLE,
    ORGANIZATION,
    TEMPLATE,
    problems,
    read,
)

EVENT_TYPES = ", ".join(badge_event_types())
OPERATORS = "eq, ne, gt, ge, lt, le, in, not_in, contains, starts_with, matches, exists"
TEMPLATE_KEYS = "uuid, organization, name, active, reaward, per, description, image_url, state, requirements, penalties"


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new, count)


def test_the_example_of_the_contract_is_read():
    document = read(EXAMPLE)
    [organization], [template] = document.organizations, document.templates
    assert (organization.uuid, organization.name, organization.api_key) == (
        ORGANIZATION,
        "Example Academy",
        "env:CREDLY_API_KEY",
    )
    assert (template.uuid, template.organization, template.active, template.reaward) == (
        TEMPLATE,
        ORGANIZATION,
        True,
        False,
    )
    [requirement], [penalty] = template.requirements, template.penalties
    assert (requirement.slug, requirement.group, requirement.event_type) == ("demo-course", "A", COURSE_EVENT)
    assert requirement.rules[0] == RuleEntry("is_passing", "eq", "true")
    assert (penalty.slug, penalty.requirements) == ("demo-course-failed", ("demo-course",))


def test_what_may_be_left_out_may_also_be_empty():
    text = "version: 1\norganizations:\ntemplates:\n  - {active: , state: , requirements: , penalties: , "
    text += f"name: X, uuid: {TEMPLATE}, organization: {ORGANIZATION}}}"
    [template] = read(text, known=(ORGANIZATION,)).templates
    assert (template.active, template.state, template.description, template.requirements) == (
        False,
        None,
        None,
        (),
    )


REFUSED = {
    "event type": (
        f"event_type: {COURSE_EVENT}\n        group",
        "event_type: x\n        group",
        f"13: templates[0].requirements[0].event_type: 'x' is not an event type badges may use; allowed: {EVENT_TYPES}",
    ),
    "key path": (
        "data_path: is_passing",
        "data_path: passing",
        f"17: templates[0].requirements[0].rules[0].data_path: 'passing' is not a key path of "
        f"{COURSE_EVENT}; "
        "allowed: is_passing, course.course_key, course.display_name, course.start, course.end",
    ),
    "operator": (
        "operator: eq",
        "operator: like",
        f"17: templates[0].requirements[0].rules[0].operator: 'like' is not an operator; allowed: {OPERATORS}",
    ),
    "operator of another type": (
        "operator: eq",
        "operator: lt",
        "17: templates[0].requirements[0].rules[0].operator: “lt” is no operator for a value of the type boolean; "
        "allowed: eq, ne, exists",
    ),
    "operator as the admin shows it": (
        "operator: eq",
        "operator: =",
        f"17: templates[0].requirements[0].rules[0].operator: '=' is not an operator; allowed: {OPERATORS}",
    ),
    "boolean": (
        'value: "true"',
        "value: 1",
        "17: templates[0].requirements[0].rules[0].value: “1” does not fit the type of the key path, "
        "boolean; allowed: true True yes Yes +, false False no No -",
    ),
    "group": (
        "group: A ",
        "group: AB ",
        "14: templates[0].requirements[0].group: 'AB' is not a group; allowed: A to Z, or null",
    ),
    "lower-case group": (
        "group: A ",
        "group: a ",
        "14: templates[0].requirements[0].group: 'a' is not a group; allowed: A to Z, or null",
    ),
    "state": (
        "active: true",
        "state: gone",
        "10: templates[0].state: 'gone' is not a state of a template; allowed: draft, active, archived",
    ),
    "image": (
        "active: true",
        "image_url: 'javascript:alert(1)'",
        "10: templates[0].image_url: is not a URL; allowed: http:// or https:// and what follows",
    ),
    "uuid": (
        "uuid: 3b0f2c6a-",
        "uuid: 3b0f2c6a",
        "7: templates[0].uuid: '3b0f2c6a1a6e-4f29-8d53-7f0c3a5f9e21' is not a UUID",
    ),
    "uuid of zeros": (
        str(TEMPLATE),
        "00000000-0000-0000-0000-000000000000",
        "7: templates[0].uuid: '00000000-0000-0000-0000-000000000000' is not a UUID",
    ),
    "unknown key": (
        "requirements:\n      - id",
        "requirments:\n      - id",
        "11: templates[0].requirments: 'requirments' is not a known key, did you mean 'requirements'?; "
        f"allowed: {TEMPLATE_KEYS}",
    ),
    "repeated key": (
        "active: true",
        "name: Again",
        "10: templates[0].name: the key stands here already, in line 9",
    ),
    "missing key": ("    name: Intro Course\n", "", "7: templates[0].name: is missing"),
    "empty required key": ("name: Intro Course", "name:", "9: templates[0].name: is missing"),
    "blank name": ("name: Intro Course", "name: ' '", "9: templates[0].name: must not be empty"),
    "number for a text": (
        "name: Intro Course",
        "name: 7",
        "9: templates[0].name: must be a text, not a number",
    ),
    "text for a boolean": (
        "active: true",
        "active: 'true'",
        "10: templates[0].active: must be a boolean, not the text 'true'; allowed: true, false",
    ),
    "text for a list": (
        "[demo-course]",
        "demo-course",
        "22: templates[0].penalties[0].requirements: must be a list, not a text",
    ),
    "empty entry": (
        "[demo-course]",
        "[demo-course, null]",
        "22: templates[0].penalties[0].requirements[1]: must not be empty",
    ),
    "python object": (
        "name: Intro Course",
        "name: !!python/name:os.system x",
        "9: templates[0].name: must be a text, not a value of another type",
    ),
    "long name": (
        "Intro Course",
        "x" * 256,
        "9: templates[0].name: is too long: 256 characters; allowed: up to 255",
    ),
    "long value": (
        'value: "course-v1:OpenedX+DemoX+Demo_Course"',
        f"value: {'x' * 4001}",
        "18: templates[0].requirements[0].rules[1].value: is too long: 4001 characters; allowed: up to 4000",
    ),
    "character": (
        "Intro Course",
        '"a\\0b"',
        "9: templates[0].name: has a character that can't be stored (NUL or half a surrogate pair)",
    ),
    "half a character": (
        "Intro Course",
        '"\\ud800"',
        "9: templates[0].name: has a character that can't be stored (NUL or half a surrogate pair)",
    ),
    "id": (
        "id: demo-course-failed",
        "id: demo course",
        "20: templates[0].penalties[0].id: 'demo course' is not an id; allowed: letters a-z A-Z, digits, - and _",
    ),
    "penalty's requirement": (
        "[demo-course]",
        "[other]",
        "22: templates[0].penalties[0].requirements[0]: 'other' is not a requirement of this template; "
        "allowed: demo-course",
    ),
    "penalty's requirement twice": (
        "[demo-course]",
        "[demo-course, demo-course]",
        "22: templates[0].penalties[0].requirements[1]: 'demo-course' is used already, in line 22",
    ),
    "penalty without requirements": (
        "[demo-course]",
        "[]",
        "22: templates[0].penalties[0].requirements: needs at least one requirement",
    ),
    "organization": (
        "uuid: 7d1b",
        "uuid: 8d1b",
        f"8: templates[0].organization: {ORGANIZATION} is an organization of neither this file nor the "
        "database; allowed: 8d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02",
    ),
    "no variable": (
        "env:CREDLY_API_KEY ",
        "'env:'",
        "5: organizations[0].api_key: names no environment variable; allowed: env:NAME or a key",
    ),
    "version": ("version: 1", "version: 2", "1: version: is not a known version of this format; allowed: 1"),
    "version as a text": (
        "version: 1",
        "version: '1'",
        "1: version: is not a known version of this format; allowed: 1",
    ),
}


@pytest.mark.parametrize(("old", "new", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_with_line_path_and_what_is_allowed(old: str, new: str, problem: str):
    assert f"badges.yaml:{problem}" in problems(changed(old, new))


ALONE = (
    "event type",
    "key path",
    "operator",
    "operator of another type",
    "boolean",
    "group",
    "uuid",
    "missing key",
    "long value",
    "id",
)


@pytest.mark.parametrize("name", ALONE)
def test_one_error_gives_one_line(name: str):
    old, new, _ = REFUSED[name]
    assert len(problems(changed(old, new))) == 1


def test_all_errors_of_a_file_are_told_at_once_in_the_order_of_its_lines():
    text = changed("version: 1", "version: 3").replace("name: Intro Course", "name: 5")
    text = text.replace("group: A ", "group: 1 ").replace("[demo-course]", "[x, x]")
    assert [line.split(": ")[:2] for line in problems(text)] == [
        ["badges.yaml:1", "version"],
        ["badges.yaml:9", "templates[0].name"],
        ["badges.yaml:14", "templates[0].requirements[0].group"],
        ["badges.yaml:22", "templates[0].penalties[0].requirements[0]"],
        ["badges.yaml:22", "templates[0].penalties[0].requirements[1]"],
    ]


def test_a_penalty_needs_a_rule():
    start = EXAMPLE.index("        rules:", EXAMPLE.index("penalties:"))
    assert problems(EXAMPLE[:start]) == ["badges.yaml:20: templates[0].penalties[0].rules: is missing"]
    assert problems(EXAMPLE[:start] + "        rules: []") == [
        "badges.yaml:23: templates[0].penalties[0].rules: needs at least one rule"
    ]


def test_an_active_template_needs_a_requirement_and_an_inactive_one_does_not():
    text = EXAMPLE[: EXAMPLE.index("    requirements:")]
    assert problems(text) == ["badges.yaml:10: templates[0].active: an active template needs at least one requirement"]
    assert problems(text.replace("active: true", "active: false")) == []


def test_an_id_may_stand_once_in_a_template_and_again_in_another():
    template = EXAMPLE[EXAMPLE.index("  - uuid: 3b0f") :]
    assert problems(EXAMPLE + template.replace("3b0f2c6a", "4b0f2c6a")) == []
    requirement = template[template.index("      - id") : template.index("    penalties")]
    penalty = template[template.index("      - id: demo-course-failed") :]
    twice = EXAMPLE.replace("    penalties:\n", f"{requirement}    penalties:\n") + penalty
    assert problems(twice) == [
        "badges.yaml:19: templates[0].requirements[1].id: 'demo-course' is used already, in line 12",
        "badges.yaml:33: templates[0].penalties[1].id: 'demo-course-failed' is used already, in line 27",
    ]


def test_a_template_or_organization_may_stand_once_in_a_file_however_its_uuid_is_written():
    again = EXAMPLE[EXAMPLE.index("  - uuid: 3b0f") :].replace("3b0f2c6a", "3B0F2C6A")
    assert problems(EXAMPLE + again) == [f"badges.yaml:26: templates[1].uuid: '{TEMPLATE}' is used already, in line 7"]
    text = changed("templates:", f"  - uuid: {ORGANIZATION}\ntemplates:")
    assert problems(text) == [f"badges.yaml:6: organizations[1].uuid: '{ORGANIZATION}' is used already, in line 3"]


@pytest.mark.parametrize(
    "value", ["'true'", "'True'", "'yes'", "'Yes'", "'+'", "'false'", "'False'", "'no'", "'No'", "'-'"]
)
def test_each_spelling_of_a_boolean_is_kept_as_it_is_written(value: str):
    rule = read(changed('value: "true"', f"value: {value}")).templates[0].requirements[0].rules[0]
    assert rule.value == value.strip("'")


@pytest.mark.parametrize(("value", "text"), [("true", "true"), ("TRUE", "true"), ("on", "true"), ("no", "false")])
def test_a_yaml_boolean_is_a_boolean_rule_value(value: str, text: str):
    rule = read(changed('value: "true"', f"value: {value}")).templates[0].requirements[0].rules[0]
    assert rule.value == text


@pytest.mark.parametrize("value", ["no", "5", "1.50", "2026-01-02", "010", "~x"])
def test_an_unquoted_value_of_a_text_path_is_the_text_that_is_written(value: str):
    old = '{data_path: course.course_key, operator: eq, value: "course-v1:OpenedX+DemoX+Demo_Course"}'
    text = changed(old, f"{{data_path: course.display_name, operator: eq, value: {value}}}")
    assert read(text).templates[0].requirements[0].rules[1].value == value


def test_a_whole_number_is_wanted_where_the_event_has_one():
    path = "course.max_students_allowed"
    assert key_paths(CCX_EVENT)[path] == "integer"
    text = EXAMPLE.replace(COURSE_EVENT, CCX_EVENT)
    text = text[: text.index("        group")] + f"        rules: [{{data_path: {path}, operator: eq, value: VALUE}}]"
    assert problems(text.replace("VALUE", "25")) == []
    assert problems(text.replace("VALUE", "25.5")) == [
        "badges.yaml:14: templates[0].requirements[0].rules[0].value: “25.5” does not fit the type of the "
        "key path, integer; allowed: a whole number such as 25"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1: the file is empty"),
        ("# nothing\n", "1: the file is empty"),
        ("- 1", "1: must be a mapping, not a list; allowed: version, organizations, templates"),
        ("version: 1\nx: [", "2: not YAML: "),
        ("version: 1\nx: a: b", "2: not YAML: mapping values are not allowed here"),
        ("version: 1\n\tx: 1", "2: not YAML: found character '\\t' that cannot start any token"),
        ("version: 1\nname: \x01", "2: not YAML: special characters are not allowed"),
        ("version: 1\n---\nversion: 1", "2: not YAML: but found another document"),
        ("version: *one", "1: not YAML: found undefined alias 'one'"),
        ("[" * 100_000, "1: not a badge configuration: nested too deeply"),
        ("? [a]\n: 1\nversion: 1", "1: '' is not a known key"),
        ('"a\\nb": 1\nversion: 1', "1: 'a\\nb': 'a\\nb' is not a known key"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_line(text: str, problem: str):
    [line] = problems(text)
    assert line.startswith(f"badges.yaml:{problem}")


def test_bytes_that_are_not_utf_8_are_refused_with_their_line():
    with pytest.raises(DocumentError, match=r"^badges\.yaml:2: not UTF-8$"):
        read_document(b"version: 1\nname: \xff", "badges.yaml", Known())


def test_a_byte_order_mark_is_no_error():
    assert read("\ufeffversion: 1").templates == ()


def test_anchors_and_aliases_stand_for_what_they_name():
    text = changed("        rules:\n", "        rules: &rules\n")
    start = text.index("        rules:", text.index("penalties:"))
    [template] = read(text[:start] + "        rules: *rules\n").templates
    assert template.penalties[0].rules == template.requirements[0].rules


def test_a_list_that_holds_itself_is_refused():
    assert problems("version: 1\ntemplates: &t [*t]") == [
        f"badges.yaml:2: templates[0]: must be a mapping, not a list; allowed: {TEMPLATE_KEYS}"
    ]


def test_aliases_that_repeat_without_bounds_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(places, "MAX_PLACES", 10_000)
    rules = "&rules [" + "{data_path: is_passing, operator: eq, value: yes}, " * 100 + "]"
    requirements = f"&requirements [&r {{id: a, event_type: {COURSE_EVENT}, rules: {rules}}}" + ", *r" * 100 + "]"
    text = f"version: 1\ntemplates: [&t {{name: x, requirements: {requirements}}}" + ", *t" * 100 + "]"
    assert "badges.yaml:2: " in problems(text)[-1]
    assert any("the file has more than 10000 values, aliases followed" in line for line in problems(text))


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(places, "MAX_BYTES", 100)
    assert problems(EXAMPLE) == ["badges.yaml:1: the file has more than 100 bytes"]


def test_a_key_is_in_no_error_and_in_no_representation():
    secret = "s3cret-key"
    text = changed("env:CREDLY_API_KEY ", secret).replace("name: Intro Course", "name: 5")
    assert secret not in "".join(problems(text))
    assert secret not in repr(read(changed("env:CREDLY_API_KEY ", secret)))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(content: bytes):
    try:
        read_document(content, "badges.yaml", Known())
    except DocumentError as refused:
        lines = str(refused).split("\n")
    else:
        lines = []
    assert all(line.startswith("badges.yaml:") for line in lines)


LINES = EXAMPLE.splitlines(keepends=True)


@given(st.lists(st.integers(0, len(LINES) - 1), max_size=3), st.permutations(range(len(LINES))), st.booleans())
def test_any_mixture_of_a_files_lines_is_read_or_refused(dropped: list[int], order: list[int], shuffled: bool):
    chosen = order if shuffled else range(len(LINES))
    text = "".join(LINES[index] for index in chosen if index not in dropped)
    assert all(line.startswith("badges.yaml:") for line in problems(text))
