"""What every page of the admin shows: the sidebar, and which Credly is called.

The functions are named in the setting `UNFOLD`.
"""

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from pipeline.admin import attention
from pipeline.configuration.organizations import api_base_url
from pipeline.models import (
    Badge,
    Discrepancy,
    Event,
    Gap,
    Learner,
    Organization,
    Penalty,
    Progress,
    Requirement,
    Signal,
    Template,
    Webhook,
)

Pages = dict[type[Model], tuple[str | Promise, str]]

# Per group of the sidebar: its pages by their model, each with its title and its icon of Material Symbols.
CONFIGURATION: Pages = {
    Organization: (_("Organizations"), "domain"),
    Template: (_("Templates"), "workspace_premium"),
    Requirement: (_("Requirements"), "checklist"),
    Penalty: (_("Penalties"), "gavel"),
}
LEDGERS: Pages = {
    Learner: (_("Learners"), "school"),
    Progress: (_("Progress"), "trending_up"),
    Badge: (_("Badges"), "military_tech"),
    Event: (_("Events"), "inbox"),
    Signal: (_("Signals"), "campaign"),
    Webhook: (_("Webhooks"), "webhook"),
    Gap: (_("Gaps"), "link_off"),
    Discrepancy: (_("Discrepancies"), "difference"),
}
STAFF: Pages = {
    User: (_("Users"), "person"),
    Group: (_("Groups"), "group"),
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the sidebar with the pages that this member of staff may see."""
    overview = [{"title": _("Dashboard"), "icon": "dashboard", "link": reverse("admin:index")}]
    if may_view(request, Event):
        status = reverse("status")
        # Its path begins that of every page: it would seem to be the current one everywhere.
        overview.append(
            {"title": _("Status"), "icon": "monitor_heart", "link": status, "active": request.path == status}
        )
    groups = [(_("Configuration"), CONFIGURATION), (_("Ledgers"), LEDGERS), (_("Staff"), STAFF)]
    urgent = Counter[type[Model] | None]()
    for finding in attention.findings():
        urgent[finding.model] += (finding.number or 0) if finding.urgent else 0
    return [
        {"title": _("Overview"), "items": overview},
        *({"title": title, "separator": True, "items": _pages(pages, urgent, request)} for title, pages in groups),
    ]


def style_sheet(request: HttpRequest) -> str:
    """Address of our style sheet, which adds to Unfold's."""
    return static("badges/theme.css")


def icon(request: HttpRequest) -> str:
    """Address of the icon in the browser's tab."""
    return static("badges/icon.svg")


def environment(request: HttpRequest) -> tuple[str, str]:
    """Which Credly this installation calls, and the kind of label that says so."""
    credly = settings.BADGES_CONFIG["credly"]
    name = str(_("Credly sandbox") if credly["USE_SANDBOX"] else _("Credly production"))
    usual = settings.BADGES_CONFIG_DEFAULTS["credly"]
    url = api_base_url()
    if url not in (usual["CREDLY_API_BASE_URL"], usual["CREDLY_SANDBOX_API_BASE_URL"]):
        name = f"{name}: {urlsplit(url).netloc}"
    return name, "info" if credly["USE_SANDBOX"] else "success"


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Whether this member of staff may see the pages of a model."""
    label, name = model._meta.app_label, model._meta.model_name
    return any(request.user.has_perm(f"{label}.{verb}_{name}") for verb in ("view", "change"))


def _pages(pages: Pages, urgent: Counter[type[Model] | None], request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"title": title, "icon": icon, "link": attention.list_url(model, {}), **_to_check(urgent[model])}
        for model, (title, icon) in pages.items()
        if may_view(request, model)
    ]


def _to_check(number: int) -> dict[str, str]:
    return {"badge": ngettext("%d to check", "%d to check", number) % number} if number else {}
