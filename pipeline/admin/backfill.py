"""Running the kept events through a badge template: the page that asks, and how far it is, on the template's page."""

from datetime import UTC, date, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminTextInputWidget

from pipeline import nudges
from pipeline.ledgers import backfills
from pipeline.ledgers.kept import Span
from pipeline.models import Backfill, BackfillState, Template
from pipeline.reports.phrases import moment
from pipeline.reports.prospects import Totals, totals
from pipeline.stages.backfill import CantRun, compiled, rules_of

SECONDS = 5.0
"""How long the page looks at kept events for its numbers; after that it says by how many they are."""


class SinceForm(forms.Form):
    """How far back to go."""

    since = forms.DateField(
        label=gettext_lazy("Only what happened since"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text=gettext_lazy("By the time of the event itself, from the first moment of the day in UTC. Empty: all."),
    )

    @property
    def time(self) -> datetime | None:
        """The moment that was asked for; None for all that is kept, or if what was sent is no date."""
        day: date | None = self.cleaned_data.get("since") if self.is_valid() else None
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def url(template: Template) -> str:
    """The page of a template."""
    return reverse("admin:pipeline_template_run_kept_events", args=[template.pk])


def offered(text: str, template: Template) -> SafeString:
    """A message about a template whose rules mean something else now, with the way to have it count for what was before."""
    return format_html(
        '{} <a href="{}" class="text-link">{}</a>', text, url(template), _("Run the kept events through it")
    )


def view(model_admin: ModelAdmin, request: HttpRequest, pk: str) -> HttpResponse:
    """Answer the page.  GET: who would gain and lose, in numbers.  POST: begin or go on, or stop.

    Raises:
        Http404: there is no such template.
    """
    template = model_admin.get_object(request, pk)
    if template is None:
        raise Http404
    if request.method == "POST" and request.POST.get("action") == "stop":
        _stop(model_admin, request, template)
        return _to_template(template)
    form = SinceForm(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST" and form.is_valid() and _begin(model_admin, request, template, form.time):
        return _to_template(template)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Run the kept events through it"),
        "opts": model_admin.opts,
        "original": template,
        "address": url(template),
        "form": form,
        **_foreseen(template, form),
        **state_of(template),
    }
    return TemplateResponse(request, "admin/pipeline/template/backfill.html", context)


def state_of(template: Template) -> dict[str, Any]:
    """What pages show of the template's latest backfill; nothing if there was none."""
    row = Backfill.objects.filter(template=template).first()
    if row is None:
        return {}
    return {
        "backfill": row,
        "backfill_url": url(template),
        "backfill_text": _STATES[BackfillState(row.state)](row),
        "backfill_result": _result(row),
        "backfill_is_running": row.state == BackfillState.RUNNING,
        "backfill_is_stopped": row.state == BackfillState.STOPPED,
    }


def _begin(model_admin: ModelAdmin, request: HttpRequest, template: Template, since: datetime | None) -> bool:
    """Begin, or go on with one that was stopped.  Says whether that could be; tells why not."""
    try:
        row = backfills.begin(template, rules_of(template)[1], since, request.user.get_username())
    except CantRun as reason:
        messages.error(request, str(reason))
        return False
    except backfills.RunsOtherwise:
        messages.error(request, _("One that goes back to another time is running. Stop it first."))
        return False
    nudges.backfill([backfills.turn_of(row)])
    model_admin.log_change(request, template, _("Had the kept events run through it."))
    messages.success(request, _("The kept events run through “%(name)s”. Live events go first.") % {"name": template})
    return True


def _stop(model_admin: ModelAdmin, request: HttpRequest, template: Template) -> None:
    row = Backfill.objects.filter(template=template).first()
    if row is None or not backfills.stop(row):
        messages.warning(request, _("No kept events are running through “%(name)s”.") % {"name": template})
        return
    row.refresh_from_db()
    model_admin.log_change(request, template, _("Stopped running kept events through it."))
    messages.success(request, _("Stopped. %(result)s") % {"result": _result(row)})


def _to_template(template: Template) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:pipeline_template_change", args=[template.pk]))


def _foreseen(template: Template, form: SinceForm) -> dict[str, Any]:
    """What would come of it, in words; or why nothing can."""
    try:
        as_active = compiled(template)
    except CantRun as reason:
        return {"problem": str(reason)}
    if not form.is_valid():
        return {}
    found = totals(as_active, Span(form.time, timezone.now()), SECONDS)
    return {"problem": _inactive(template), "foreseen": _numbers(found), "rest": _rest(found)}


def _inactive(template: Template) -> str:
    """Why a template that could be compiled takes no part all the same; empty if it does."""
    try:
        rules_of(template)
    except CantRun as reason:
        return str(reason)
    return ""


def _numbers(found: Totals) -> str:
    gains = ngettext("%(number)s badge would be gained", "%(number)s badges would be gained", found.gains)
    losses = ngettext("%(number)s lost", "%(number)s lost", found.losses)
    events = ngettext("by %(number)s kept event", "by %(number)s kept events", found.events)
    parts = ((gains, found.gains), (losses, found.losses), (events, found.events))
    return _("%(gains)s and %(losses)s, %(events)s.") % {
        name: text % {"number": f"{number:,}"}
        for name, (text, number) in zip(("gains", "losses", "events"), parts, strict=True)
    }


def _rest(found: Totals) -> str:
    """What the numbers leave out; empty if nothing."""
    if found.complete:
        return ""
    return _(
        "More events may be kept: the time for looking was up. The command backfill with --dry-run looks at all and names the "
        "learners."
    )


def _result(row: Backfill) -> str:
    text = _(
        "%(looked_at)s of %(total)s kept events looked at, %(ran)s met the rules and ran again, %(awarded)s badges awarded, "
        "%(revoked)s revoked."
    )
    numbers = {name: f"{getattr(row, name):,}" for name in ("looked_at", "ran", "awarded", "revoked")}
    return text % {**numbers, "total": "?" if row.total is None else f"{row.total:,}"}


def _running(row: Backfill) -> str:
    return row.note or _("Kept events run through this template. Reload the page to see how far it is.")


def _stopped(row: Backfill) -> str:
    stopped = _("Running kept events through this template was stopped. “Run kept events” goes on from there.")
    return " ".join(filter(None, (stopped, row.note)))


def _done(row: Backfill) -> str:
    ended_at = moment(row.ended_at) if row.ended_at else ""
    return _("The kept events ran through this template, done %(time)s.") % {"time": ended_at}


_STATES = {BackfillState.RUNNING: _running, BackfillState.STOPPED: _stopped, BackfillState.DONE: _done}
