"""Many lines in one message."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

SHOWN = 5


def enumerated(lines: Sequence[str]) -> SafeString:
    """The lines as an HTML list: the first five, and how many more there are."""
    shown = list(lines[:SHOWN])
    if len(lines) > SHOWN:
        shown.append(_("and %(number)d more") % {"number": len(lines) - SHOWN})
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((line,) for line in shown)))
