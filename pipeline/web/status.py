"""The status page: the numbers of `pipeline_status`, for staff."""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pipeline.reports.status import pipeline_status

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
@require_safe
@staff_member_required
@permission_required("pipeline.view_event", raise_exception=True)
def status_page(request: HttpRequest) -> HttpResponse:
    """Counts by state at every stage, renewed every few seconds."""
    status = pipeline_status()
    stages = {
        title: [(STATES[state], number, state == "failed" and number) for state, number in status[stage].items()]
        for stage, title in STAGES.items()
    }
    context = {"title": _("Status"), "status": status, "stages": stages}
    return render(request, "pipeline/status.html", admin.site.each_context(request) | context)
