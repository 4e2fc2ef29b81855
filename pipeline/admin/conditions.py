"""Requirements and penalties with their rules in the admin."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from pipeline.admin.affected import after_a_change, before_a_change, forgotten
from pipeline.admin.rule_forms import BEYOND_ONE_EVENT, ConditionForm, PenaltyForm, RequirementForm
from pipeline.admin.rule_rows import PenaltyRuleFormSet, RuleForm, RuleFormSet, editor_data
from pipeline.admin.search import number_of
from pipeline.admin.wrong_input import ToleratesWrongInput
from pipeline.bus.descriptions import describe
from pipeline.configuration.counting import Counted, begin_anew, counted
from pipeline.models import Fulfillment, Penalty, PenaltyRule, Requirement, RequirementRule, Template
from pipeline.reports.clauses import extent
from pipeline.reports.sentence import WHOLE_RULE, sentence

EMPTY_ROWS = 3
"""Without a script no row can be added to a page."""


class RuleInline(TabularInline):
    """The rules of a requirement or penalty."""

    form = RuleForm
    formset = RuleFormSet
    extra = EMPTY_ROWS
    hide_title = True


class RequirementRuleInline(RuleInline):
    """The rules of a requirement."""

    model = RequirementRule


class PenaltyRuleInline(RuleInline):
    """The rules of a penalty."""

    model = PenaltyRule
    formset = PenaltyRuleFormSet


class ConditionAdmin(ToleratesWrongInput, ModelAdmin):
    """What requirements and penalties have in common: they are added to a template, and lead back to its page."""

    list_filter = ("event_type", "template")
    list_select_related = ("template",)
    search_fields = ("slug", "description", "template__name")
    readonly_fields = ("template",)
    change_form_template = "admin/pipeline/requirement/change_form.html"
    delete_confirmation_template = "admin/pipeline/template/delete.html"
    delete_selected_confirmation_template = "admin/pipeline/template/delete_selected.html"

    class Media:
        js = ("badges/rules.js",)
        css = {"all": ("badges/rules.css",)}

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ConditionForm]:
        """The form of this request, which knows the template."""
        form: type[ConditionForm] = super().get_form(request, obj, change, **kwargs)
        owner = obj.template if obj else _named_template(request)
        if owner is not None:
            form.owner = owner
        return form

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """The page of the template leads here with `?template=`; who comes without it chooses one first."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _named_template(request) is None:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Add %(kind)s: to which template?") % {"kind": self.opts.verbose_name},
                "templates": Template.objects.select_related("organization"),
            }
            return TemplateResponse(request, "admin/pipeline/requirement/choose_template.html", context)
        return super().add_view(request, form_url, extra_context)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Adds the whole rule of the template, and what the script needs."""
        form = context["adminform"].form
        stored = Template.objects.prefetch_related(*WHOLE_RULE).get(pk=form.instance.template_id)
        context |= {
            "stored": stored,
            "sentence": sentence(stored),
            "warning": before_a_change(stored) if stored.active else "",
            "editor_data": editor_data(),
            "descriptions": {name: describe(name) for name in editor_data()["types"]},
            "show_save_and_add_another": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the rules, and tell what a change means for learners."""
        super().save_related(request, form, formsets, change)
        template = form.instance.template
        if template.active and (form.has_changed() or any(formset.has_changed() for formset in formsets)):
            messages.warning(request, after_a_change(template))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """As Django's, and back to the template's page."""
        row = self.get_object(request, object_id)
        response = super().delete_view(request, object_id, extra_context)
        if row is None or response.status_code != 302:
            return response
        if row.template.active:
            messages.warning(request, after_a_change(row.template))
        return _to_template(row)

    def response_post_save_add(self, request: HttpRequest, obj: Requirement | Penalty) -> HttpResponse:
        """Back to the template's page."""
        return _to_template(obj)

    def response_post_save_change(self, request: HttpRequest, obj: Requirement | Penalty) -> HttpResponse:
        """Back to the template's page."""
        return _to_template(obj)

    @display(description=gettext_lazy("event type"), ordering="event_type")
    def event(self, row: Requirement | Penalty) -> str:
        """The event type in words."""
        return describe(row.event_type).title


@admin.register(Requirement)
class RequirementAdmin(ConditionAdmin):
    """Requirements with their rules."""

    form = RequirementForm
    list_display = ("slug", "template", "event", "group", "extent")
    inlines = (RequirementRuleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Requirement]:
        """With the requirements of the same template, which some come after."""
        rows: QuerySet[Requirement] = super().get_queryset(request)
        return rows.prefetch_related("template__requirements")

    def get_fieldsets(self, request: HttpRequest, obj: Requirement | None = None) -> Any:
        """What every requirement has; then the rest, folded up as long as it is not used: what was refused lies open."""
        used = request.method == "POST" or (obj is not None and extent(obj) != "")
        more = {"fields": BEYOND_ONE_EVENT, "classes": () if used else ("collapse",)}
        usual = ("template", "slug", "description", "event_type", "group")
        return ((None, {"fields": usual}), (_("More than one event, time, order"), more))

    def save_model(self, request: HttpRequest, obj: Requirement, form: Any, change: bool) -> None:
        """Save the requirement; `save_related` has to know what was counted before."""
        form.counted_before = counted(obj.template)
        if change:  # an import may have counted on since the form was read
            obj.refresh_from_db(fields=["begun_anew"])
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the rules; where something else counts now, what was counted is forgotten."""
        super().save_related(request, form, formsets, change)
        _begin_anew(request, form.instance.template, form.counted_before)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Requirement]) -> None:
        """Delete them, be it one; those that they came after may count no more."""
        before = {row.template: counted(row.template) for row in queryset.select_related("template")}
        super().delete_queryset(request, queryset)
        for template, of_template in before.items():
            _begin_anew(request, template, of_template)

    def delete_model(self, request: HttpRequest, obj: Requirement) -> None:
        """Delete one, as one of several."""
        self.delete_queryset(request, Requirement.objects.filter(pk=obj.pk))

    @display(description=gettext_lazy("how many, when"), empty_value="-")
    def extent(self, row: Requirement) -> str | None:
        """How many events it takes, and of what time."""
        return extent(row) or None

    def get_deleted_objects(self, objs: Iterable[Requirement], request: HttpRequest) -> Any:
        """What goes with the requirements, counted: there may be one fulfillment per learner.  Or why they must stay."""
        rows = list(objs)
        if refusals := _undeletable(rows):
            return [], {}, set(), refusals
        lost = Fulfillment.objects.filter(requirement__in=rows, fulfilled=True).count()
        text = ngettext("what %(number)s learner achieved in it", "what %(number)s learners achieved in it", lost) % {
            "number": lost
        }
        counts = {self.opts.verbose_name_plural: len(rows), _("achievements of learners"): lost}
        denied = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        named = [f"{capfirst(self.opts.verbose_name)}: {row}" for row in rows]
        return [*named, text] if lost else named, counts, denied, []


@admin.register(Penalty)
class PenaltyAdmin(ConditionAdmin):
    """Penalties with their rules."""

    form = PenaltyForm
    fields = ("template", "slug", "description", "event_type", "requirements")
    list_display = ("slug", "template", "event")
    inlines = (PenaltyRuleInline,)


def _named_template(request: HttpRequest) -> Template | None:
    """The template that the address names as `?template=`."""
    number = number_of(request.GET.get("template", ""))
    return None if number is None else Template.objects.filter(pk=number).first()


def _begin_anew(request: HttpRequest, template: Template, before: Mapping[int, Counted]) -> None:
    """Forget what was counted where something else counts now, and tell for how many learners."""
    for text in forgotten(begin_anew(template, before)):
        messages.warning(request, text)


def _to_template(row: Requirement | Penalty) -> HttpResponse:
    return redirect("admin:pipeline_template_change", row.template_id)


def _undeletable(requirements: list[Requirement]) -> list[str]:
    """Why these requirements can't be deleted together: what would be left could not work."""
    going = {row.pk for row in requirements}
    refusals = []
    templates: QuerySet[Template] = Template.objects.filter(requirements__in=requirements).distinct()
    for template in templates.prefetch_related("requirements", "penalties__requirements"):
        if template.active and all(row.pk in going for row in template.requirements.all()):
            text = _("“%(name)s” is active and would have no requirement left. Deactivate it first.")
            refusals.append(text % {"name": template.name})
        for row in template.requirements.all():
            if row.after_id in going and row.pk not in going:
                text = _("“%(id)s” comes after it. Remove that, or change it, first.")
                refusals.append(text % {"id": row.slug})
        for penalty in template.penalties.all():
            taken_back = {row.pk for row in penalty.requirements.all()}
            if taken_back and taken_back <= going:
                text = _("The penalty “%(id)s” would take back nothing any more. Remove it, or change it, first.")
                refusals.append(text % {"id": penalty.slug})
    return refusals
