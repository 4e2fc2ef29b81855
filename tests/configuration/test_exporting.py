"""The tables' way into a file, and back."""

import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.bus.catalogue import key_paths
from pipeline.configuration.conditions import operators
from pipeline.configuration.exporting import export_configuration
from pipeline.models import ConfigurationVersion, Organization, Penalty, Requirement, Template
from tests.configuration.files import CCX_EVENT, COURSE_EVENT, EXAMPLE, ORGANIZATION, example, imported

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

EMPTY = "version: 1\norganizations: []\ntemplates: []\n"


def test_an_export_says_what_was_imported():
    imported(EXAMPLE)
    exported = yaml.safe_load(export_configuration())
    wanted = example()
    wanted["templates"][0].update(state="active", reaward=False)
    assert exported == wanted


def test_an_empty_database_is_exported_and_imported():
    assert export_configuration() == EMPTY
    assert imported(EMPTY) == []


def test_an_export_reads_as_the_example_of_the_contract_does():
    imported(EXAMPLE)
    text = export_configuration()
    assert "    name: Intro Course\n" in text
    assert "          - {data_path: is_passing, operator: eq, value: 'true'}\n" in text


def test_a_stored_key_is_exported_as_a_variable_to_set():
    data = example()
    data["organizations"][0]["api_key"] = "s3cret-key"
    imported(data)
    text = export_configuration()
    assert "s3cret-key" not in text
    assert "    api_key: env:CREDLY_API_KEY_7D1B0F5E  # " in text
    assert yaml.safe_load(text)["organizations"][0]["api_key"] == "env:CREDLY_API_KEY_7D1B0F5E"


def test_an_export_that_is_imported_again_replaces_a_stored_key_only_when_its_variable_is_set(
    monkeypatch: pytest.MonkeyPatch,
):
    data = example()
    data["organizations"][0]["api_key"] = "s3cret-key"
    imported(data)
    text = export_configuration()
    [kept] = imported(text)
    assert str(kept).endswith(
        "api_key: the stored one is kept, as the environment variable CREDLY_API_KEY_7D1B0F5E is not set"
    )
    assert Organization.objects.get().api_key == "s3cret-key"
    monkeypatch.setenv("CREDLY_API_KEY_7D1B0F5E", "s3cret-key")
    [changed] = imported(text)
    assert str(changed).endswith("api_key: changed")
    assert Organization.objects.get().api_key == "env:CREDLY_API_KEY_7D1B0F5E"


def test_a_stored_key_that_does_not_work_either_is_replaced_by_an_unset_variable():
    data = example()
    for variable in ("env:NO_SUCH_KEY", "env:NO_SUCH_KEY_EITHER"):
        data["organizations"][0]["api_key"] = variable
        imported(data)
        assert Organization.objects.get().api_key == variable


def test_keys_of_organizations_whose_uuids_begin_alike_are_exported_as_different_variables():
    for number in (1, 2):
        Organization.objects.create(uuid=uuid.UUID(int=number), api_key=f"s3cret-{number}")
    Organization.objects.create(uuid=ORGANIZATION, api_key="s3cret-3")
    keys = [each["api_key"] for each in yaml.safe_load(export_configuration())["organizations"]]
    assert keys == [
        f"env:CREDLY_API_KEY_{uuid.UUID(int=1).hex}",
        f"env:CREDLY_API_KEY_{uuid.UUID(int=2).hex}",
        "env:CREDLY_API_KEY_7D1B0F5E",
    ]


def test_no_key_is_exported_where_none_is_stored():
    Organization.objects.create(uuid=ORGANIZATION)
    assert export_configuration() == f"version: 1\norganizations:\n  - uuid: {ORGANIZATION}\ntemplates: []\n"


def test_what_is_not_asked_for_is_not_exported():
    imported(EXAMPLE)
    [template] = yaml.safe_load(export_configuration())["templates"]
    assert "per" not in template
    assert list(template["requirements"][0]) == ["id", "event_type", "group", "description", "rules"]


def test_all_that_a_requirement_asks_for_is_exported_in_the_order_of_the_documentation():
    imported(EXAMPLE)
    row = Requirement.objects.get()
    asked = Requirement.objects.create(
        template=row.template,
        slug="five",
        event_type=COURSE_EVENT,
        count=5,
        distinct="course.course_key",
        within=timedelta(days=90),
        counts_from=datetime(2026, 3, 1, tzinfo=UTC),
        counts_until=datetime(2026, 7, 1, tzinfo=UTC),
        after=row,
    )
    for operator, value in (("in", "a\nb"), ("exists", "false"), ("exists", "no"), ("matches", "a.*")):
        asked.rules.create(data_path="course.display_name", operator=operator, value=value)
    text = export_configuration()
    assert (
        text[text.index("      - id: five") : text.index("    penalties")]
        == f"""\
      - id: five
        event_type: {COURSE_EVENT}
        count: 5
        distinct: course.course_key
        within: 90d
        from: '2026-03-01T00:00:00+00:00'
        until: '2026-07-01T00:00:00+00:00'
        after: demo-course
        rules:
          - {{data_path: course.display_name, operator: in, value: [a, b]}}
          - {{data_path: course.display_name, operator: exists, value: false}}
          - {{data_path: course.display_name, operator: exists, value: 'no'}}
          - {{data_path: course.display_name, operator: matches, value: a.*}}
"""
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAME = TEXT.filter(lambda text: text.strip() != "")
SLUG = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
BOOLEAN_TEXT = st.sampled_from(["true", "True", "yes", "Yes", "+", "false", "False", "no", "No", "-"])
TIMES = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
COURSE_KEYS = st.builds("course-v1:{0}+{0}+{0}".format, st.text("abcXYZ019", min_size=1, max_size=8))
LINE = TEXT.map(lambda text: text.replace("\n", " ")).filter(lambda text: text.strip() != "")
VALUES = {
    "boolean": BOOLEAN_TEXT,
    "integer": st.integers(-(10**300), 10**300).map(str),
    "time": TIMES,
    "course key": COURSE_KEYS,
}


def values(type_word: str, operator: str) -> st.SearchStrategy[str]:
    match operator:
        case "exists":
            return BOOLEAN_TEXT
        case "in" | "not_in":
            return st.lists(VALUES.get(type_word, LINE), min_size=1, max_size=3).map("\n".join)
        case "contains" | "starts_with":
            return NAME
        case "matches":
            return st.sampled_from([r"course-v1:a\+.*", "(?i)[a-z]{2,5}", "x|y"])
        case _:
            return VALUES.get(type_word, TEXT)


@st.composite
def rules(draw: st.DrawFn, event_type: str, least: int) -> list[dict[str, str]]:
    paths = key_paths(event_type)
    chosen = draw(st.lists(st.sampled_from(sorted(paths)), min_size=least, max_size=3))
    drawn = [(path, draw(st.sampled_from(operators(paths[path])))) for path in chosen]
    return [
        {"data_path": path, "operator": operator, "value": draw(values(paths[path], operator))}
        for path, operator in drawn
    ]


SECONDS = st.integers(1, 36_525 * 86_400) | st.integers(1, 36_525).map(lambda days: days * 86_400)
LIMITS = st.lists(
    st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC)),
    min_size=2,
    max_size=2,
    unique=True,
).map(sorted)


@st.composite
def amount(draw: st.DrawFn, event_type: str, chosen: list[dict[str, str]]) -> dict[str, Any]:
    """How many events a requirement asks for, which, and when."""
    fields: dict[str, Any] = {}
    if draw(st.booleans()):
        limits = zip(("counts_from", "counts_until"), draw(LIMITS), strict=True)
        fields.update(draw(st.lists(st.sampled_from(list(limits)), unique=True)))
    if draw(st.booleans()):
        fields["count"] = draw(st.integers(2, 1000))
        fields["within"] = draw(st.none() | SECONDS.map(lambda seconds: timedelta(seconds=seconds)))
        ruled = {rule["data_path"] for rule in chosen}
        paths = key_paths(event_type)
        free = [path for path in sorted(paths) if path not in ruled and paths[path] != "time"]
        fields["distinct"] = draw(st.sampled_from(["", *free]))
    return fields


@st.composite
def condition(draw: st.DrawFn, least_rules: int) -> dict[str, Any]:
    event_type = draw(st.sampled_from([COURSE_EVENT, CCX_EVENT]))
    return {
        "slug": draw(SLUG),
        "event_type": event_type,
        "description": draw(TEXT),
        "rules": draw(rules(event_type, least_rules)),
    }


@st.composite
def requirement(draw: st.DrawFn) -> dict[str, Any]:
    fields = draw(condition(0))
    group = draw(st.sampled_from(["", "A", "N", "Y", "Z"]))
    return {**fields, "group": group, **draw(amount(fields["event_type"], fields["rules"]))}


def several(conditions: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(conditions, max_size=3, unique_by=lambda each: each["slug"])


@st.composite
def stored_configuration(draw: st.DrawFn) -> None:
    """A configuration, made in the database without a file."""
    for organization_uuid in draw(st.lists(st.uuids(), max_size=3, unique=True)):
        organization = Organization.objects.create(
            uuid=organization_uuid,
            name=draw(TEXT),
            api_key=draw(st.sampled_from([None, "env:CREDLY_API_KEY"])),
        )
        for template_uuid in draw(st.lists(st.uuids(), max_size=2, unique=True)):
            if not Template.objects.filter(uuid=template_uuid).exists():
                _store_template(draw, organization, template_uuid)


def _store_template(draw: st.DrawFn, organization: Organization, template_uuid: uuid.UUID) -> None:
    requirements = draw(several(requirement()))
    template = Template.objects.create(
        uuid=template_uuid,
        organization=organization,
        name=draw(NAME),
        description=draw(TEXT),
        image_url=draw(st.sampled_from(["", "https://images.example/a%20b.png?x=1#y"])),
        state=draw(st.sampled_from(["draft", "active", "archived"])),
        active=bool(requirements) and draw(st.booleans()),
        reaward=draw(st.booleans()),
        per=draw(st.sampled_from(["", "is_passing"])),
    )
    rows: list[Requirement] = []
    for fields in requirements:
        fields["distinct"] = fields.get("distinct", "").replace("is_passing", "")
        preceding = [row for row in rows if _may_come_before(row, fields.get("counts_until"))]
        rows.append(_store(Requirement, template, {**fields, "after": draw(st.sampled_from([None, *preceding]))}))
    for fields in draw(several(condition(1))) if rows else []:
        penalty = _store(Penalty, template, fields)
        penalty.requirements.set(draw(st.lists(st.sampled_from(rows), min_size=1, unique_by=lambda row: row.pk)))


def _may_come_before(row: Requirement | None, until: datetime | None) -> bool:
    """Whether what counts until then may come after this requirement, and after what that comes after."""
    if row is None or until is None:
        return True
    return (row.counts_from is None or row.counts_from < until) and _may_come_before(row.after, until)


def _store(model: type[Any], template: Template, fields: dict[str, Any]) -> Any:
    rule_fields = fields.pop("rules")
    row = model.objects.create(template=template, **fields)
    for each in rule_fields:
        row.rules.create(**each)
    return row


@settings(max_examples=40)
@given(st.data())
def test_importing_an_export_changes_nothing(data: st.DataObject):
    with transaction.atomic():
        data.draw(stored_configuration())
        version = ConfigurationVersion.current()
        assert imported(export_configuration()) == []
        assert ConfigurationVersion.current() == version
        transaction.set_rollback(True)


@settings(max_examples=40)
@given(st.data())
def test_an_export_makes_the_same_configuration_in_an_empty_database(data: st.DataObject):
    with transaction.atomic():
        data.draw(stored_configuration())
        text = export_configuration()
        Template.objects.all().delete()
        Organization.objects.all().delete()
        imported(text)
        assert export_configuration() == text
        transaction.set_rollback(True)
