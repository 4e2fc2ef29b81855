"""Filter, sort and paging of Credly's lists, in both grammars (facts/credly-api.md, section 2)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from pipeline.credly.emulator.errors import RefusalError
from pipeline.credly.emulator.records import Badge, Template
from pipeline.credly.emulator.rendering import issued_to
from pipeline.credly.emulator.state import State
from pipeline.credly.emulator.times import format_date

Item = TypeVar("Item")

PAGING = (
    "count",
    "current_page",
    "total_count",
    "total_pages",
    "per",
    "previous_page_url",
    "next_page_url",
)
"""Metadata of a page (section 2)."""

Predicate = Callable[[Any, list[str]], bool]
"""Whether an item meets the values that a filter key was given; several mean any of them."""


@dataclass(frozen=True)
class Query:
    """What a list call asks for."""

    filters: Mapping[str, list[str]]
    sort: list[tuple[str, bool]]
    page: int


def parse_query(arguments: Mapping[str, list[str]]) -> Query:
    """Read ``filter=key::value|…``, ``filter[key]=value``, ``sort`` and ``page``.

    ``arguments`` are decoded query parameters. Raises RefusalError 400 for a page that is no number.
    """
    filters: dict[str, list[str]] = {}
    for name, values in arguments.items():
        if name == "filter":
            pairs = [part.partition("::") for value in values for part in value.split("|") if part]
            filters |= {key.strip(): _values(value) for key, _, value in pairs}
        elif bracketed := re.fullmatch(r"filter\[([^\[\]]+)\](\[[^\[\]]+\])?|filter\[(.+)\]", name):
            key = bracketed[3] or bracketed[1] + (bracketed[2] or "")
            filters[key] = [item for value in values for item in _values(value)]
    sort = [(key.removeprefix("-"), key.startswith("-")) for key in _last(arguments, "sort", "").split("|")]
    page = _last(arguments, "page", "1")
    if not page.isdecimal():
        raise RefusalError(400, "page must be a positive number")
    return Query(filters, [entry for entry in sort if entry[0]], max(1, int(page)))


def _last(arguments: Mapping[str, list[str]], name: str, default: str) -> str:
    values = arguments.get(name)
    return values[-1] if values else default


def _values(text: str) -> list[str]:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return [text]
    return [item.strip() for item in text.split(",") if item.strip()]


def _text(attribute: str) -> Predicate:
    return lambda item, values: getattr(item, attribute) in values


def _flag(attribute: str) -> Predicate:
    return lambda item, values: str(getattr(item, attribute)).lower() in values


def _not_before(attribute: str) -> Predicate:
    return lambda item, values: (format_date(getattr(item, attribute)) or "") >= values[0]


def _not_after(attribute: str) -> Predicate:
    return lambda item, values: (format_date(getattr(item, attribute)) or "9") <= values[0]


def _days(attribute: str, suffix: str = "") -> dict[str, Predicate]:
    return {
        f"{attribute}{suffix}_min": _not_before(attribute),
        f"{attribute}{suffix}_max": _not_after(attribute),
    }


def _name(template: Template, values: list[str]) -> bool:
    if values[0].startswith('"'):
        return template.name == values[0].strip('"')
    return any(value.casefold() in template.name.casefold() for value in values)


def _any_detail(name: str) -> Predicate:
    return lambda template, values: not set(template.details.get(name, ())).isdisjoint(values)


TEMPLATE_FILTERS: Mapping[str, Predicate] = {
    "query": lambda item, values: values[0].casefold() in f"{item.name}\n{item.description}".casefold(),
    "name": _name,
    "public": _flag("public"),
    "state": _text("state"),
    "skills": _any_detail("skills"),
    "reporting_tags": _any_detail("reporting_tags"),
    "owner_id": lambda item, values: item.owner.id in values,
    **_days("created_at"),
    **_days("updated_at"),
}
"""Filter keys of the template list (section 5.2)."""

BADGE_FILTERS: Mapping[str, Predicate] = {
    "recipient_email": lambda item, values: item.recipient_email.casefold() in map(str.casefold, values),
    "recipient_email_all": lambda item, values: (
        not {address.casefold() for address in (item.recipient_email, *item.user.emails)}.isdisjoint(
            map(str.casefold, values)
        )
    ),
    "badge_template_id": lambda item, values: item.template.id in values,
    "issuer_earner_id": _text("issuer_earner_id"),
    "state": _text("state"),
    "public": _flag("public"),
    "user_id": lambda item, values: item.user.id in values,
    "query": lambda item, values: (
        values[0].casefold() in f"{issued_to(item)}\n{item.recipient_email}\n{item.template.name}".casefold()
    ),
    "badge_templates[reporting_tags]": lambda item, values: _any_detail("reporting_tags")(item.template, values),
    **_days("created_at"),
    **_days("updated_at"),
    **_days("issued_at", "_date"),
    **_days("expires_at", "_date"),
}
"""Filter keys of the badge list (section 6.4)."""

_SORTS: Mapping[type, tuple[str, ...]] = {
    Template: ("name", "badges_count", "created_at", "updated_at"),
    Badge: ("created_at", "updated_at", "issued_at", "expires_at"),
}


def select(state: State, items: Iterable[Item], query: Query, filters: Mapping[str, Predicate]) -> list[Item]:
    """The items that meet every filter, sorted. An unknown sort key is passed over."""
    unknown = sorted(set(query.filters) - set(filters))
    if unknown and state.switches.unknown_filter_keys == "reject":
        raise RefusalError(400, f"Unknown filter: {', '.join(unknown)}")
    wanted = [(filters[key], values) for key, values in query.filters.items() if key in filters and values]
    chosen = [item for item in items if all(meets(item, values) for meets, values in wanted)]
    for key, descending in reversed(query.sort):
        if chosen and key in _SORTS[type(chosen[0])]:
            chosen.sort(key=lambda item: _order(getattr(item, key)), reverse=descending)
    return chosen


def _order(value: Any) -> tuple[bool, Any]:
    return value is not None, value.casefold() if isinstance(value, str) else value


def paginate(
    state: State, items: list[Item], page: int, address: Callable[[int], str]
) -> tuple[list[Item], dict[str, Any]]:
    """One page of the items with its metadata; a page out of range is empty.

    ``address`` gives the absolute address of a page by its number.
    """
    per = state.switches.page_size
    pages = -(-len(items) // per) or state.switches.empty_list_total_pages
    shown = items[(page - 1) * per : page * per]
    return shown, {
        "count": len(shown),
        "current_page": page,
        "total_count": len(items),
        "total_pages": pages,
        "per": per,
        "previous_page_url": address(page - 1) if 1 < page <= pages else None,
        "next_page_url": address(page + 1) if page < pages else None,
    }


def page_address(state: State, origin: str, path: str, arguments: Mapping[str, list[str]], page: int) -> str:
    """The absolute address of a page; two switches shape it as Credly is said to (section 2)."""
    root = "/api/v1" if state.switches.next_page_under_api else "/v1"
    kept = arguments if state.switches.next_page_keeps_query else {}
    pairs = [(name, value) for name, values in kept.items() if name != "page" for value in values]
    return f"{origin}{root}{path}?{urlencode([*pairs, ('page', page)])}"
