"""Badge templates in the admin: facts from Credly, the switches, and the rule as a whole."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from pipeline.admin import backfill, trial
from pipeline.admin.affected import after_a_change, before_a_change, learners_concerned
from pipeline.admin.enumeration import enumerated
from pipeline.admin.filters import Learners
from pipeline.admin.rule_overview import conditions_of
from pipeline.admin.rule_rows import path_choices
from pipeline.admin.search import FoundByUuid
from pipeline.admin.wrong_input import ToleratesWrongInput
from pipeline.configuration import activation
from pipeline.configuration.conditions import per_change_problem, per_problem
from pipeline.ledgers.observations import HELD
from pipeline.models import Badge, Progress, Standing, Template, TemplateState
from pipeline.reports.phrases import moment
from pipeline.reports.sentence import WHOLE_RULE, formula, sentence

HOLDING = {"standing__exact": Standing.AWARDED.value, "credly_state__in": ",".join(HELD)}
"""Filters of the badge list: what the rules award and Credly holds."""


class TemplateForm(forms.ModelForm):
    """A template is activated only when nothing speaks against it."""

    per = forms.CharField(
        label=gettext_lazy("One badge per"),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text=gettext_lazy(
            "A key path such as course.course_key: a learner may earn one badge for each value. Credly must allow duplicates "
            "for the template."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A member of staff who may only look has no field.
        if "per" in self.fields:
            self.fields["per"].widget.choices = path_choices(self["per"].value() or "", _("none: one badge in all"))

    def clean_per(self) -> str:
        """A key path that the events of all requirements and penalties have; the same as ever once learners go by it."""
        per = str(self.cleaned_data["per"])
        template = self.instance
        if template.pk and _in_use(template) and (problem := per_change_problem(template.per, per)):
            raise forms.ValidationError(problem.message)
        if not per or per == template.per:
            return per
        requirements, penalties = (
            ([], []) if template.pk is None else (template.requirements.all(), template.penalties.all())
        )
        allows_duplicates = activation.duplicates_allowed(template)
        event_types = [row.event_type for row in (*requirements, *penalties)]
        if problem := per_problem(per, event_types, allows_duplicates=allows_duplicates):
            raise forms.ValidationError(str(problem))
        if differing := [row.slug for row in requirements if row.distinct == per]:
            text = _("“%(id)s” asks for events that differ in %(path)s, which those of one badge then never do.")
            raise forms.ValidationError(text % {"id": differing[0], "path": per})
        return per

    def clean_active(self) -> bool:
        """Refuse to switch on what can't work; one that is on already may stay so."""
        active = bool(self.cleaned_data["active"])
        if active and not self.instance.active and (found := activation.problems(self.instance)):
            raise forms.ValidationError(found)
        return active


@admin.register(Template)
class TemplateAdmin(ToleratesWrongInput, FoundByUuid, ModelAdmin):
    """Badge templates.

    What Credly says of a template is shown and not edited.  One that was made by hand has its name, description and image
    editable until the first sync takes them over.
    """

    form = TemplateForm
    list_display = (
        "name_and_image",
        "organization",
        "state_at_credly",
        "active",
        "reaward",
        "with_progress",
        "holding",
        "duplicates",
    )
    list_filter = ("active", "state", "reaward", "allows_duplicates", Learners, "organization")
    list_select_related = ("organization",)
    search_fields = ("name", "uuid")
    search_help_text = gettext_lazy("Name or UUID")
    actions = ("activate", "deactivate")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions_detail = ("try_it", "run_kept_events")
    delete_confirmation_template = "admin/pipeline/template/delete.html"
    delete_selected_confirmation_template = "admin/pipeline/template/delete_selected.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        """With the number of learners who have progress, and of those who hold the badge."""
        held = Badge.objects.filter(standing=Standing.AWARDED, credly_state__in=HELD)
        templates: QuerySet[Template] = super().get_queryset(request)
        return templates.annotate(progress_count=_count(Progress.objects.all()), holding_count=_count(held))

    def get_fieldsets(self, request: HttpRequest, obj: Template | None = None) -> Any:
        """By hand: what identifies and describes it.  Afterwards: the switches, then what Credly says."""
        described = ("name", "description", "image_url")
        if obj is None:
            explanation = _(
                "Syncing the organization brings its templates by itself; this is for one that it can't see."
            )
            fields = ("uuid", "organization", *described, "reaward", "per")
            return ((None, {"fields": fields, "description": explanation}),)
        facts = ("picture", *described, "uuid", "organization", "state", "synced_at", "at_credly")
        return (
            (None, {"fields": ("active", "reaward", "per")}),
            (_("At Credly"), {"fields": facts}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Template | None = None) -> tuple[str, ...]:
        """Everything that Credly says."""
        if obj is None:
            return ()
        fixed = ("picture", "uuid", "organization", "state", "synced_at", "at_credly")
        return (*fixed, "name", "description", "image_url") if obj.synced_at else fixed

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Adds the rule as it is stored, whatever a refused form says."""
        obj = kwargs.get("obj")
        if obj is not None:
            stored = Template.objects.select_related("organization").prefetch_related(*WHOLE_RULE).get(pk=obj.pk)
            context |= {
                "stored": stored,
                "sentence": sentence(stored),
                "formula": formula(stored),
                "problems": activation.problems(stored),
                "withdrawal": _withdrawal(stored),
                "warning": before_a_change(stored) if stored.active else "",
                "conditions": conditions_of(stored, request, self.admin_site),
                **backfill.state_of(stored),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Template, form: forms.ModelForm, change: bool) -> None:
        """Save what was changed and nothing else, for the pipeline writes the same row; tell what that means for learners."""
        obj.save(update_fields=form.changed_data if change else None)
        if change and "active" in form.changed_data:
            messages.info(request, backfill.offered(_now_active(obj), obj) if obj.active else _now_inactive(obj))
        elif change and obj.active and form.changed_data:
            messages.warning(request, after_a_change(obj))

    def response_add(self, request: HttpRequest, obj: Template, post_url_continue: str | None = None) -> HttpResponse:
        """Go on to the template's page: a new one has no requirement yet."""
        if "_addanother" not in request.POST:
            posted = request.POST.copy()
            posted["_continue"] = "1"
            request.POST = posted  # type: ignore[assignment]
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def get_deleted_objects(self, objs: Iterable[Template], request: HttpRequest) -> Any:
        """A template that is active, or has a history, is refused; otherwise what Django collects."""
        refusals = [refusal for template in objs if (refusal := _undeletable(template))]
        return ([], {}, set(), refusals) if refusals else super().get_deleted_objects(objs, request)

    @action(description=gettext_lazy("Try it"), url_path="try", permissions=["view"])
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What an event would do to the badge, without doing it."""
        return trial.view(self, request, object_id)

    @action(description=gettext_lazy("Run kept events"), url_path="backfill", permissions=["change"])
    def run_kept_events(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have what learners did before count for the template."""
        return backfill.view(self, request, object_id)

    @action(description=gettext_lazy("Activate"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Template]) -> None:
        """Switch on the templates that nothing speaks against, and say of the others what does."""
        offers, refused = [], []
        for template in queryset.filter(active=False).prefetch_related(*WHOLE_RULE):
            found = activation.problems(template)
            if found:
                text = _("“%(name)s” stays deactivated. %(problems)s")
                refused.append(text % {"name": template.name, "problems": " ".join(found)})
            else:
                self._switch(request, template, active=True)
                offers.append(backfill.offered(str(template), template))
        if refused:
            text = ngettext("%(number)s template was refused.", "%(number)s templates were refused.", len(refused))
            messages.error(request, format_html("{}{}", text % {"number": len(refused)}, enumerated(refused)))
        text = ngettext("%(number)s template was activated.", "%(number)s templates were activated.", len(offers))
        messages.success(
            request, format_html("{}{}", text % {"number": len(offers)}, enumerated(offers) if offers else "")
        )

    @action(description=gettext_lazy("Deactivate"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Template]) -> None:
        """Switch off templates; issued badges stay."""
        templates = list(queryset.filter(active=True))
        for template in templates:
            self._switch(request, template, active=False)
        text = ngettext(
            "%(number)s template was deactivated; issued badges stay.",
            "%(number)s templates were deactivated; issued badges stay.",
            len(templates),
        )
        messages.success(request, text % {"number": len(templates)})

    def _switch(self, request: HttpRequest, template: Template, *, active: bool) -> None:
        template.active = active
        with transaction.atomic():
            template.save(update_fields=["active"])
            self.log_change(request, template, _("Activated.") if active else _("Deactivated."))

    @display(description=gettext_lazy("name"), ordering="name")
    def name_and_image(self, template: Template) -> str:
        """The name beside its picture."""
        picture = _picture(template, 32) if template.image_url else ""
        classes = "flex flex-row gap-2 items-center whitespace-nowrap"
        return format_html('<span class="{}">{}<span>{}</span></span>', classes, picture, template)

    @display(description=gettext_lazy("image"))
    def picture(self, template: Template) -> str | None:
        """The badge's picture, as large as its page has room for."""
        return _picture(template, 128) if template.image_url else None

    @display(
        description=gettext_lazy("at Credly"),
        ordering="state",
        label={
            TemplateState.ACTIVE.label: "success",
            TemplateState.DRAFT.label: "warning",
            TemplateState.ARCHIVED.label: "danger",
        },
    )
    def state_at_credly(self, template: Template) -> str:
        """The state there, in words and color."""
        return template.get_state_display()

    @display(description=gettext_lazy("with progress"), ordering="progress_count")
    def with_progress(self, template: Any) -> str:
        """How many learners an event has brought to this template, holders included; leads to them."""
        return _link("admin:pipeline_progress_changelist", template, template.progress_count)

    @display(description=gettext_lazy("holding"), ordering="holding_count")
    def holding(self, template: Any) -> str:
        """How many learners hold the badge, here and at Credly; leads to their badges."""
        return _link("admin:pipeline_badge_changelist", template, template.holding_count, **HOLDING)

    @display(description=gettext_lazy("duplicates"), ordering="allows_duplicates")
    def duplicates(self, template: Template) -> str:
        """A flag where Credly's own safety net is off, and need not be."""
        if not template.allows_duplicates or template.per:
            return "-"
        explanation = Template._meta.get_field("allows_duplicates").help_text
        classes = "text-orange-700 dark:text-orange-400"
        return format_html('<span class="{}" title="{}">{}</span>', classes, explanation, _("allows duplicates"))

    @display(description=gettext_lazy("page at Credly"))
    def at_credly(self, template: Template) -> str:
        """A link to Credly's own page about the template."""
        return format_html(
            '<a href="{}" class="text-link" target="_blank" rel="noopener noreferrer">{}</a>',
            credly_page(template),
            _("Open at Credly (new window)"),
        )


def credly_page(template: Template) -> str:
    """The address of the template's page in Credly's own administration, of the sandbox when that is in use."""
    credly = settings.BADGES_CONFIG["credly"]
    base = credly["CREDLY_SANDBOX_BASE_URL" if credly["USE_SANDBOX"] else "CREDLY_BASE_URL"]
    return f"{base}mgmt/organizations/{template.organization.uuid}/badges/templates/{template.uuid}/details"


def _count(rows: QuerySet[Any]) -> Coalesce:
    """How many of the rows are of the template of the outer query."""
    of_template = rows.filter(template=OuterRef("pk")).order_by().values("template")
    return Coalesce(Subquery(of_template.annotate(number=Count("pk")).values("number")), 0, output_field=IntegerField())


def _link(name: str, template: Template, number: int, **filters: str) -> str:
    query = urlencode({"template__id__exact": template.pk, **filters})
    return format_html('<a href="{}?{}" class="text-link">{}</a>', reverse(name), query, number)


def _picture(template: Template, size: int) -> str:
    return format_html(
        '<img src="{0}" alt="" width="{1}" height="{1}" class="max-w-none" loading="lazy" referrerpolicy="no-referrer">',
        template.image_url,
        size,
    )


def _now_active(template: Template) -> str:
    return _("“%(name)s” is active: events from now on count. %(learners)s") % {
        "name": template.name,
        "learners": learners_concerned(template),
    }


def _now_inactive(template: Template) -> str:
    return _("“%(name)s” is deactivated: events change nothing, issued badges stay. %(learners)s") % {
        "name": template.name,
        "learners": learners_concerned(template),
    }


def _withdrawal(template: Template) -> str:
    """That Credly took the template out of use, so that nobody here did; empty if it did not."""
    if template.active or template.state == TemplateState.ACTIVE or template.synced_at is None:
        return ""
    text = _("Deactivated because Credly calls it %(state)s (synced %(time)s). %(learners)s")
    return text % {
        "state": template.get_state_display(),
        "time": moment(template.synced_at),
        "learners": learners_concerned(template),
    }


def _undeletable(template: Template) -> str:
    """Why a template can't be deleted; empty if it can."""
    if template.active:
        return _("“%(name)s” is active. Deactivate it first.") % {"name": template.name}
    if _in_use(template):
        return _("“%(name)s” has progress or badges of learners. It can be deactivated, not deleted.") % {
            "name": template.name
        }
    return ""


def _in_use(template: Template) -> bool:
    """Whether learners have progress in it or badges of it."""
    return template.progress.exists() or template.badges.exists()
