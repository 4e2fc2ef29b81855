"""The status page: the numbers of `pipeline_status`, for staff."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pipeline.reports.status import pipeline_status

STAGES = {
    "Events": "events",
    "Badges": "badges",
    "At Credly": "credly",
    "Signals": "signals",
}


@never_cache
@require_safe
@staff_member_required
def status_page(request: HttpRequest) -> HttpResponse:
    """Counts by state at every stage, renewed every few seconds."""
    status = pipeline_status()
    stages = {title: status[stage] for title, stage in STAGES.items()}
    return render(request, "pipeline/status.html", {"status": status, "stages": stages})
