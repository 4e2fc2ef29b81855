"""Rules in words: what each operator says."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.models import Operator, Rule

SIGNS = {
    "eq": "=",
    "ne": "!=",
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "in": gettext_lazy("is one of"),
    "not_in": gettext_lazy("is none of"),
    "contains": gettext_lazy("contains"),
    "starts_with": gettext_lazy("starts with"),
    "matches": gettext_lazy("matches"),
    "exists": gettext_lazy("exists"),
}
"""How operators are written in short."""

_VERBS: dict[str, str | Promise] = {
    Operator.EQUALS: gettext_lazy("is"),
    Operator.NOT_EQUALS: gettext_lazy("is not"),
    Operator.GREATER: gettext_lazy("is greater than"),
    Operator.AT_LEAST: gettext_lazy("is at least"),
    Operator.LESS: gettext_lazy("is less than"),
    Operator.AT_MOST: gettext_lazy("is at most"),
    Operator.IN: gettext_lazy("is one of"),
    Operator.NOT_IN: gettext_lazy("is none of"),
    Operator.CONTAINS: gettext_lazy("contains"),
    Operator.STARTS_WITH: gettext_lazy("starts with"),
    Operator.MATCHES: gettext_lazy("matches the regular expression"),
}
_VERBS_OF_TIMES: dict[str, str | Promise] = {
    Operator.GREATER: gettext_lazy("is later than"),
    Operator.AT_LEAST: gettext_lazy("is not earlier than"),
    Operator.LESS: gettext_lazy("is earlier than"),
    Operator.AT_MOST: gettext_lazy("is not later than"),
}


def rule_in_words(rule: Rule, event_type: str) -> str:
    """A rule as a part of a sentence, such as "course.course_key is “...”"."""
    if rule.operator == Operator.EXISTS:
        words = _("%(path)s is there") if rules.parse_boolean(rule.value) else _("%(path)s is missing")
        return words % {"path": rule.data_path}
    kind = catalogue.kinds(event_type).get(rule.data_path, "text")
    verbs = _VERBS | _VERBS_OF_TIMES if kind == "time" else _VERBS
    return f"{rule.data_path} {verbs.get(rule.operator, rule.operator)} {_value(rule, event_type)}"


def values_of(rule: Rule) -> list[str]:
    """The values that a rule compares with: of most operators one."""
    return rules.lines(rule.value) if rule.operator in (Operator.IN, Operator.NOT_IN) else [rule.value]


def quoted(values: list[str]) -> str:
    """Alternatives, each in quotation marks."""
    return _(" or ").join(f"“{value}”" for value in values)


def in_short(path: str, operator: str, value: str) -> str:
    """A rule as it is written in short, such as "is_passing = true"; the values of a list on one line."""
    return f"{path} {SIGNS.get(operator, operator)} {', '.join(value.splitlines())}"


def matched_rules(matched: Mapping[str, Any]) -> str:
    """The rules that decided a requirement, as they stood then.

    Args:
        matched: of a `Fulfillment`.
    """
    if matched.keys().isdisjoint(("requirement", "penalty")):
        return _("rules of before, which are not known any more")
    written = [in_short(*rule) for rule in matched["rules"]]
    return f" {_('and')} ".join(written) or _("every event of its type")


def _value(rule: Rule, event_type: str) -> str:
    known = catalogue.event_type(event_type)
    boolean = rules.parse_boolean(rule.value)
    if boolean is not None and known is not None and known.key_paths.get(rule.data_path) is bool:
        return _("true") if boolean else _("false")
    return quoted(values_of(rule))
