"""The page "Try it" of a badge template: what an event would do, without doing it."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from pipeline.admin import trial_events, trial_result
from pipeline.admin.links import lines
from pipeline.admin.search import uuid_of
from pipeline.admin.trial_forms import SearchForm, TrialForm, event_types_of, with_event, with_example
from pipeline.models import Event, Template
from pipeline.reports.trial import try_event
from pipeline.reports.written_event import WrittenEvent, misfits

READS = ("pipeline.view_template", "pipeline.view_event", "pipeline.view_learner", "pipeline.view_badge")
"""What somebody must be allowed to see: a trial tells of all of it."""


def url(template: Template, event: Event | None = None) -> str:
    """The page of a template; with a stored event, that is tried at once."""
    address = reverse("admin:pipeline_template_try_it", args=[template.pk])
    return f"{address}?event={event.pk}" if event else address


def links(event: Event) -> SafeString | str:
    """For the page of an event: a link to try it on each template with a requirement or penalty of its type."""
    of_type = Q(requirements__event_type=event.type) | Q(penalties__event_type=event.type)
    templates = Template.objects.filter(of_type).distinct()
    rows = [format_html('<a class="text-link" href="{}">{}</a>', url(each, event), each) for each in templates]
    return lines(rows) if rows else "-"


def view(model_admin: ModelAdmin, request: HttpRequest, pk: str) -> HttpResponse:
    """Answer the page.  GET: the form, with `?event=ID` that stored event tried.  POST: try, search, insert an example.

    Nothing is changed by any of it; POST because what is sent may name a learner, and addresses must not.

    Raises:
        PermissionDenied: unless one may see templates, events, learners and badges.
        Http404: there is no such template.
    """
    if not all(request.user.has_perm(permission) for permission in READS):
        raise PermissionDenied
    template = model_admin.get_object(request, pk)
    if template is None:
        raise Http404
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Try it"),
        "opts": model_admin.opts,
        "original": template,
        "address": url(template),
        "most_events": trial_events.MOST,
        **_answer(template, request),
    }
    return TemplateResponse(request, "admin/pipeline/template/try.html", context)


def _answer(template: Template, request: HttpRequest) -> dict[str, Any]:
    """What was asked for: the forms, the offered events, a result or the error that stands against it."""
    action = request.POST.get("action", "try") if request.method == "POST" else "look"
    search_form = SearchForm(request.POST if action == "search" else None)
    types = event_types_of(template)
    if search_form.is_valid():
        events = trial_events.found(search_form.cleaned_data["search"], types)
    else:
        events = trial_events.newest(types)
    shared = {"search_form": search_form, "events": trial_result.events_table(events, url(template))}
    if action == "try":
        form = TrialForm(template, request.POST)
        result = _tried(template, form.event) | {"misfits": misfits(form.event)} if form.is_valid() else {}
        return shared | {"form": form} | result
    if "event" in request.GET and action == "look":
        return shared | _stored(template, request.GET["event"])
    return shared | {"form": with_example(template, request.POST.get("event_type", ""))}


def _stored(template: Template, id: str) -> dict[str, Any]:
    uuid = uuid_of(id)
    event = Event.objects.filter(pk=uuid).first() if uuid else None
    if event is None:
        error = _("No event with this id is stored: it never came, or it was purged.")
        return {"form": with_example(template, ""), "error": error}
    if event.raw is not None:
        error = _("This event could not be read when it came, so there is nothing to try.")
        return {"form": with_example(template, ""), "error": error}
    tried = _tried(template, WrittenEvent(event.type, event.payload, event.time, event.pk))
    return {"form": with_event(template, event), "stored": event} | tried


def _tried(template: Template, event: WrittenEvent) -> dict[str, Any]:
    try:
        trial = try_event(template, event.type, event.payload, event.time, event.id)
    except ValueError as error:
        return {
            "error": _("This template takes no part in anything, since it is broken: %(error)s.") % {"error": error}
        }
    return trial_result.shown(trial)
