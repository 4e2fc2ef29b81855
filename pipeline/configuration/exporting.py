"""Badge configuration from the tables into a file that `importing` takes back without a change."""

from collections import Counter
from typing import Any
from uuid import UUID

import yaml

from pipeline.bus.catalogue import kinds
from pipeline.configuration.condition_places import LISTING
from pipeline.configuration.difference import iso
from pipeline.configuration.organizations import ENVIRONMENT_PREFIX
from pipeline.configuration.spans import written
from pipeline.configuration.values import with_zone
from pipeline.models import Operator, Organization, Penalty, Requirement, Template
from pipeline.models.configuration import Rule
from pipeline.rules import lines

SET_IT = "the key is not exported: set this variable to it before you import"


def export_configuration() -> str:
    """All badge configuration as YAML text: templates by name, what belongs to them in the order it was made.

    An API key is never written.  For one that is stored as such, a variable to set to it is named.
    """
    organizations = list(Organization.objects.order_by("name", "uuid"))
    templates = (
        Template.objects.order_by("name", "uuid")
        .select_related("organization")
        .prefetch_related("requirements__rules", "requirements__after", "penalties__rules", "penalties__requirements")
    )
    variables = _variables(organizations)
    return (
        "version: 1\n"
        + _section(
            "organizations",
            [_organization(organization, variables.get(organization.uuid)) for organization in organizations],
        )
        + _section("templates", [_yaml([_template(template)]) for template in templates])
    )


def _section(key: str, entries: list[str]) -> str:
    return f"{key}:\n{''.join(entries)}" if entries else f"{key}: []\n"


def _variables(organizations: list[Organization]) -> dict[UUID, str]:
    """The variable for each key that is stored as such; with the whole UUID if its beginning is shared."""
    stored = [each.uuid for each in organizations if each.api_key and not each.api_key.startswith(ENVIRONMENT_PREFIX)]
    beginnings = Counter(each.hex[:8] for each in stored)
    return {
        each: f"CREDLY_API_KEY_{(each.hex[:8] if beginnings[each.hex[:8]] == 1 else each.hex).upper()}"
        for each in stored
    }


def _organization(row: Organization, variable: str | None) -> str:
    entry = {"uuid": str(row.uuid)}
    if row.name:
        entry["name"] = row.name
    if variable:
        entry["api_key"] = f"{ENVIRONMENT_PREFIX}{variable}"
        return f"{_yaml([entry]).rstrip()}  # {SET_IT}\n"
    if row.api_key:
        entry["api_key"] = row.api_key
    return _yaml([entry])


def _template(row: Template) -> dict[str, Any]:
    return {
        "uuid": str(row.uuid),
        "organization": str(row.organization.uuid),
        "name": row.name,
        **_unless_empty("description", row.description),
        **_unless_empty("image_url", row.image_url),
        "state": row.state,
        "active": row.active,
        "reaward": row.reaward,
        **_unless_empty("per", row.per),
        "requirements": [_requirement(requirement) for requirement in row.requirements.all()],
        "penalties": [_penalty(penalty) for penalty in row.penalties.all()],
    }


def _requirement(row: Requirement) -> dict[str, Any]:
    return {
        "id": row.slug,
        "event_type": row.event_type,
        **_unless_empty("group", row.group),
        **_unless_empty("description", row.description),
        **({"count": row.count} if row.count != 1 else {}),
        **_unless_empty("distinct", row.distinct),
        **_unless_empty("within", written(row.within) if row.within else ""),
        **_unless_empty("from", iso(row.counts_from) if row.counts_from else ""),
        **_unless_empty("until", iso(row.counts_until) if row.counts_until else ""),
        **_unless_empty("after", row.after.slug if row.after else ""),
        "rules": _rules(row),
    }


def _penalty(row: Penalty) -> dict[str, Any]:
    return {
        "id": row.slug,
        "event_type": row.event_type,
        **_unless_empty("description", row.description),
        "requirements": [requirement.slug for requirement in row.requirements.all()],
        "rules": _rules(row),
    }


def _unless_empty(key: str, text: str) -> dict[str, str]:
    return {key: text} if text else {}


def _rules(row: Requirement | Penalty) -> list[dict[str, Any]]:
    return [
        _OneLine(data_path=rule.data_path, operator=rule.operator, value=_value(row, rule)) for rule in row.rules.all()
    ]


def _value(row: Requirement | Penalty, rule: Rule) -> str | bool | list[str]:
    if rule.operator in LISTING:
        return lines(rule.value)
    if rule.operator == Operator.EXISTS and rule.value in ("true", "false"):
        return rule.value == "true"
    return with_zone(kinds(row.event_type).get(rule.data_path, ""), rule.value)


class _OneLine(dict[str, Any]):
    """A mapping written in one line, in braces."""


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_one_line(dumper: _Dumper, mapping: _OneLine) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=True)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    """With escapes unless all is printable: PyYAML writes a U+0085 that it reads back as a space."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(_OneLine, _represent_one_line)
_Dumper.add_representer(str, _represent_text)


def _yaml(entries: list[dict[str, Any]]) -> str:
    """The entries of a list below a top-level key."""
    text: str = yaml.dump({"entries": entries}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000)
    return text.split("\n", 1)[1]
