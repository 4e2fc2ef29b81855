"""Typed reading of settings: environment before file before default, and one clear line for what does not fit."""

from uuid import UUID

import pytest

from pipeline.environment import ConfigurationError, Environment, keys_by_organization, merged

ORGANIZATION = "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02"


def environment(variables=None, file=None) -> Environment:
    return Environment(variables or {}, file or {}, "badges.yaml")


READERS = [
    # reader, name, in the environment, in the file, default; and what each of them is read as
    (lambda e, n, d: e.text(n, d), "hello", 7, "there", ("hello", "7", "there")),
    (lambda e, n, d: e.boolean(n, d), "off", True, False, (False, True, False)),
    (lambda e, n, d: e.integer(n, d), "3", 4, 5, (3, 4, 5)),
    (lambda e, n, d: e.words(n, d), "a, b,,c ", ["d"], ["e"], (["a", "b", "c"], ["d"], ["e"])),
    (
        lambda e, n, d: e.url(n, d, ("https",)),
        "https://a/x",
        "https://b",
        "https://c",
        ("https://a/x", "https://b", "https://c"),
    ),
    (
        lambda e, n, d: e.keys_by_organization(n),
        f'{{"{ORGANIZATION.upper()}": "k"}}',
        {ORGANIZATION: "l"},
        None,
        ({ORGANIZATION: "k"}, {ORGANIZATION: "l"}, {}),
    ),
]
IDS = ["text", "boolean", "integer", "words", "url", "keys"]


@pytest.mark.parametrize(("read", "variable", "entry", "default", "meant"), READERS, ids=IDS)
def test_the_environment_comes_before_the_file_and_the_file_before_the_default(read, variable, entry, default, meant):
    assert read(environment({"NAME": variable}, {"NAME": entry}), "NAME", default) == meant[0]
    assert read(environment({}, {"NAME": entry}), "NAME", default) == meant[1]
    assert read(environment(), "NAME", default) == meant[2]


@pytest.mark.parametrize(("read", "variable", "entry", "default", "meant"), READERS, ids=IDS)
def test_an_empty_value_counts_as_not_set(read, variable, entry, default, meant):
    assert read(environment({"NAME": ""}, {"NAME": entry}), "NAME", default) == meant[1]
    assert read(environment({"NAME": ""}, {"NAME": ""}), "NAME", default) == meant[2]


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "1", "yes", "On", " true "])
def test_words_for_true(word):
    assert environment({"NAME": word}).boolean("NAME", False) is True


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "Off"])
def test_words_for_false(word):
    assert environment({"NAME": word}).boolean("NAME", True) is False


BAD = [
    (lambda e: e.boolean("NAME", False), "maybe", "true or false"),
    (lambda e: e.boolean("NAME", False), "2", "true or false"),
    (lambda e: e.integer("NAME", 1), "many", "a whole number from 0"),
    (lambda e: e.integer("NAME", 1), "1.5", "a whole number from 0"),
    (lambda e: e.integer("NAME", 1), "-1", "a whole number from 0"),
    (lambda e: e.integer("NAME", 1, minimum=5), "4", "a whole number from 5"),
    (lambda e: e.url("NAME", "", ("redis", "rediss"), secret=False), "http://x", "redis:// or rediss://"),
    (lambda e: e.url("NAME", "", ("redis",), secret=False), "redis", "redis://"),
    (lambda e: e.url("NAME", "", ("redis",), secret=False), "redis://[::1", "redis://"),
]


@pytest.mark.parametrize(("read", "value", "allowed"), BAD)
def test_a_bad_value_is_refused_with_its_name_what_was_found_and_what_is_allowed(read, value, allowed):
    for given, label in (
        (environment({"NAME": value}), "NAME: "),
        (environment({}, {"NAME": value}), "NAME in badges.yaml: "),
    ):
        with pytest.raises(ConfigurationError) as refused:
            read(given)
        line = str(refused.value)
        assert line.startswith(f"Configuration error: {label}")
        assert repr(value) in line
        assert allowed in line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("read", "entry"),
    [
        (lambda e: e.text("NAME", ""), ["a"]),
        (lambda e: e.text("NAME", ""), {"a": 1}),
        (lambda e: e.integer("NAME", 1), True),
        (lambda e: e.integer("NAME", 1), [1]),
        (lambda e: e.boolean("NAME", True), ["true"]),
        (lambda e: e.words("NAME", []), {"a": 1}),
        (lambda e: e.words("NAME", []), [1, 2]),
        (lambda e: e.words("NAME", []), 5),
        (lambda e: e.mapping("NAME", {}), ["a"]),
        (lambda e: e.mapping("NAME", {}), "text"),
    ],
)
def test_a_value_of_the_wrong_kind_in_the_file_is_refused(read, entry):
    with pytest.raises(ConfigurationError, match=r"NAME in badges\.yaml"):
        read(environment({}, {"NAME": entry}))


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda e: e.url("NAME", "", ("redis",)), "http://user:s3cret@host"),
        (lambda e: e.keys_by_organization("NAME"), '{"7d1b": "s3cret"}'),
        (lambda e: e.keys_by_organization("NAME"), "s3cret"),
        (lambda e: e.keys_by_organization("NAME"), f'{{"{ORGANIZATION}": ["s3cret"]}}'),
        (lambda e: e.keys_by_organization("NAME"), f'{{"{ORGANIZATION}": "s3cret",}}'),
    ],
)
def test_a_bad_value_that_may_hold_a_secret_is_not_shown(read, value):
    with pytest.raises(ConfigurationError) as refused:
        read(environment({"NAME": value}))
    assert "s3cret" not in str(refused.value)
    assert "NAME: '(not shown)' is not allowed" in str(refused.value)
    assert refused.value.__suppress_context__ or "s3cret" not in repr(refused.value.__context__)


def test_a_required_setting_that_is_missing_is_named():
    with pytest.raises(ConfigurationError, match="NAME is required"):
        environment({"NAME": ""}).text("NAME")


def test_a_mapping_of_the_file_is_laid_over_the_default_level_by_level():
    default = {"credly": {"base": "a", "sandbox": "b"}, "events": ["one"]}
    read = environment({}, {"NAME": {"credly": {"base": "c"}, "events": ["two"], "more": 1}}).mapping("NAME", default)
    assert read == {"credly": {"base": "c", "sandbox": "b"}, "events": ["two"], "more": 1}


def test_merging_leaves_both_as_they_were():
    default, override = {"a": {"b": [1]}}, {"a": {"c": [2]}}
    result = merged(default, override)
    result["a"]["b"].append(3)
    result["a"]["c"].append(3)
    assert (default, override) == ({"a": {"b": [1]}}, {"a": {"c": [2]}})
    untouched = environment().mapping("NAME", default)
    untouched["a"]["b"].append(3)
    assert default == {"a": {"b": [1]}}


def test_other_settings_of_the_file_are_handed_on_as_they_are():
    read = environment({}, {"NUMBER": 1, "NESTED": {"a": 1}, "OTHER": {"a": [1]}})
    read.integer("NUMBER", 0), read.mapping("NESTED", {})
    assert read.others() == {"OTHER": {"a": [1]}}


def test_organizations_are_named_by_uuids_in_any_spelling():
    assert keys_by_organization({UUID(ORGANIZATION).hex: "k"}) == {ORGANIZATION: "k"}


@pytest.mark.parametrize("content", [None, [], "k", {ORGANIZATION: ""}, {ORGANIZATION: None}, {"academy": "k"}, "{"])
def test_what_does_not_map_organizations_to_keys_is_refused(content):
    with pytest.raises((ValueError, TypeError)):
        keys_by_organization(content)


def test_without_a_file_nothing_is_read():
    assert Environment.load({}).others() == {}


@pytest.mark.parametrize("content", ["", "# nothing\n", "BADGES_ENABLED: true\n"])
def test_a_file_may_be_empty(tmp_path, content):
    file = tmp_path / "badges.yaml"
    file.write_text(content)
    assert Environment.load({"BADGES_CFG": str(file)}).boolean("BADGES_ENABLED", False) is bool(content.startswith("B"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"- a\n- b\n", "must be a mapping of setting names"),
        (b"just words\n", "must be a mapping of setting names"),
        (b"A: [1\n", "is not YAML"),
        (b"\xff\xfe\x00A", "is not YAML"),
        (b"A: !!python/object/apply:os.system [ls]\n", "is not YAML"),
        (b"badges_enabled: true\n", "'badges_enabled' is no setting name"),
        (b"5: true\n", "5 is no setting name"),
    ],
)
def test_a_file_that_is_no_mapping_of_settings_is_refused_in_one_line(tmp_path, content, complaint):
    file = tmp_path / "badges.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        Environment.load({"BADGES_CFG": str(file)})
    assert "BADGES_CFG" in str(refused.value)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match="can't read"):
            Environment.load({"BADGES_CFG": str(path)})
