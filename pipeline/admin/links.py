"""Links between the pages of the admin, and data shown as they are."""

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext


def link(model: type[Model], pk: object, text: object) -> SafeString:
    """A link to a row's page."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    return format_html('<a href="{}" class="text-link">{}</a>', url, text)


def lines(texts: Iterable[object]) -> SafeString:
    """One below the other."""
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((text,) for text in texts)))


def breakable(name: str) -> SafeString:
    """A dotted name that may go on in the next line after each dot."""
    return format_html_join(mark_safe(".<wbr>"), "{}", ((part,) for part in name.split(".")))


def pretty(data: Any) -> SafeString:
    """JSON for people."""
    return preformatted(json.dumps(data, indent=2, ensure_ascii=False))


def preformatted(text: str) -> SafeString:
    """Text as it is, line by line."""
    # The grid lets a long line scroll instead of widening the page.
    return format_html(
        '<div class="grid grid-cols-1"><pre class="overflow-x-auto text-xs" tabindex="0">{}</pre></div>', text
    )


def with_value(template: object, value: str) -> SafeString | str:
    """A template, and below it the value for which it awards one badge of several; just the template without one."""
    if not value:
        return template if isinstance(template, SafeString) else str(template)
    words = '{}<span class="badges-for block break-words font-normal text-subtle text-xs">{}</span>'
    return format_html(words, template, gettext("for %(value)s") % {"value": value})
