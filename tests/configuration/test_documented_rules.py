"""The examples of `docs/badge-file.md`, each imported for real."""

import re
from typing import Any, get_args
from uuid import UUID

import pytest

from pipeline.configuration import conditions
from pipeline.configuration.exporting import export_configuration
from pipeline.models import Operator, Template
from pipeline.models.configuration import BADGE_AWARDED
from tests.configuration.documented import EXAMPLES, PAGE, template_fields
from tests.configuration.files import ORGANIZATION, imported

COMMON = {"uuid": str(UUID(int=1)), "organization": str(ORGANIZATION), "name": "Example", "active": True}

PER_CONDITION = {"operator", "value", "per", "requirements", "event_type", "rules"}


def whole(example: Any) -> dict[str, Any]:
    """A file with the example, which may be a part of one: a template's fields, or its requirements."""
    if "version" in example:
        return dict(example)
    template = {**COMMON, **template_fields(example)}
    return {"version": 1, "organizations": [{"uuid": str(ORGANIZATION)}], "templates": [template]}


def templates() -> list[dict[str, Any]]:
    return [template for example in EXAMPLES for template in whole(example)["templates"]]


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_an_example_is_imported_and_its_export_changes_nothing(example: Any):
    data = whole(example)
    assert imported(data) != []
    assert Template.objects.get().requirements.count() == len(data["templates"][0]["requirements"])
    assert imported(export_configuration()) == []
    assert imported(data) == []


def test_every_operator_has_an_example():
    conditions_of = [
        each for template in templates() for key in ("requirements", "penalties") for each in template.get(key, ())
    ]
    assert {rule["operator"] for each in conditions_of for rule in each.get("rules", ())} == set(Operator.values)


def test_every_way_to_ask_for_more_has_an_example():
    used = {field for template in templates() for each in template["requirements"] for field in each}
    assert used >= set(get_args(conditions.Field)) - PER_CONDITION
    assert any("per" in template for template in templates())
    assert {each["event_type"] for template in templates() for each in template["requirements"]} >= {BADGE_AWARDED}


def test_every_operator_is_described():
    described = re.findall(r"^\| (`.*?) \| (?:all|numbers|texts)", PAGE, re.MULTILINE)
    assert [name for cell in described for name in re.findall(r"`(\w+)`", cell)] == Operator.values
