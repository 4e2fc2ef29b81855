"""The status page: the numbers of `pipeline_status`, for staff."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from csp.decorators import csp_replace
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pipeline.models import GateReason, Organization
from pipeline.reports.phrases import moment
from pipeline.reports.status import pipeline_status
from pipeline.web import policy

STAGES = {
    "events": _("Events"),
    "badges": _("Badges"),
    "credly": _("At Credly"),
    "signals": _("Signals"),
    "webhooks": _("Webhooks"),
}
STATES = {
    "received": _("received"),
    "processed": _("processed"),
    "ignored": _("ignored"),
    "awarded": _("awarded"),
    "pending": _("pending"),
    "issued": _("issued"),
    "revoked": _("revoked"),
    "sent": _("sent"),
    "disabled": _("disabled"),
    "failed": _("failed"),
    "waiting": _("waiting"),
}


@never_cache
@csp_replace(policy.STATUS_IMAGES)
@require_safe
@staff_member_required
@permission_required("pipeline.view_event", raise_exception=True)
def status_page(request: HttpRequest) -> HttpResponse:
    """Counts by state at every stage, renewed every few seconds."""
    status = pipeline_status()
    stages = {
        title: [
            (STATES[state], number, state == "failed" and number)
            for state, number in status[stage].items()
            if state in STATES
        ]
        for stage, title in STAGES.items()
    }
    circuits = status["credly"]["circuits"]
    named = (*status["keys_refused"], *status["keys_expiring"], *circuits)
    names = _organizations(each["organization"] for each in named)
    keys = {
        "refused_keys": list(_refused_keys(status, names)),
        "closed_gates": list(_closed_gates(circuits, names)),
        "expiring_keys": list(_expiring_keys(status, names)),
    }
    context = {"title": _("Status"), "status": status, "stages": stages, **keys}
    return render(request, "pipeline/status.html", admin.site.each_context(request) | context)


def _refused_keys(status: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    text = gettext("Organization {organization} has no working API key since {since}. Its badges wait.")
    for key in status["keys_refused"]:
        since = moment(datetime.fromisoformat(key["since"]))
        yield format_html(text, organization=names[key["organization"]], since=since)


def _closed_gates(circuits: list[dict[str, Any]], names: dict[str, str]) -> Iterator[str]:
    """Of those whose key is refused another text tells."""
    texts = {
        GateReason.FAILING: gettext("Credly fails organization {organization}, one call after the other ({failures})."),
        GateReason.THROTTLED: gettext("Credly asked for fewer calls of organization {organization}."),
    }
    goes_on = gettext("Its badges wait, and go on by themselves; next try {time}.")
    for circuit in circuits:
        if circuit["reason"] in texts:
            yield format_html(
                f"{texts[circuit['reason']]} {goes_on}",
                organization=names[circuit["organization"]],
                failures=circuit["failures"],
                time=moment(datetime.fromisoformat(circuit["next_call"])),
            )


def _expiring_keys(status: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    expires = gettext("The API key of organization {organization} expires on {day}.")
    expired = gettext("The API key of organization {organization} expired on {day}.")
    for key in status["keys_expiring"]:
        day = date_format(timezone.localtime(datetime.fromisoformat(key["expires"])))
        text = expired if key["days"] < 0 else expires
        yield format_html(text, organization=names[key["organization"]], day=day)


def _organizations(uuids: Iterable[str]) -> dict[str, str]:
    """The name of each as a link to its page; of one that was deleted just now, the UUID."""
    names = {uuid: uuid for uuid in uuids}
    for organization in Organization.objects.filter(uuid__in=names):
        url = reverse("admin:pipeline_organization_change", args=[organization.pk])
        link = format_html('<a href="{}" class="underline">{}</a>', url, organization)
        names[str(organization.uuid)] = link
    return names
