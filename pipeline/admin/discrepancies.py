"""Discrepancies between our badges and Credly's in the admin: what the last reconciliations found, and its repair."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from pipeline import nudges
from pipeline.admin.links import link
from pipeline.admin.operating import FROM_PAGE, Operable, Operation, tell
from pipeline.admin.pagination import BoundedPaginator
from pipeline.ledgers import discrepancies
from pipeline.models import Badge, Discrepancy, DiscrepancyKind, Learner

MOST_AT_ONCE = 500
"""Discrepancies of one action; its confirmation lists them all."""

CONFIRMED = "confirmed"
NOT_QUEUED, QUEUED = "no", "yes"

COLORS = {
    DiscrepancyKind.MISSING: "warning",
    DiscrepancyKind.EXTRA: "danger",
    DiscrepancyKind.DIFFERENT: "info",
}
CONSEQUENCES = {
    DiscrepancyKind.MISSING: _(
        "Credly is asked once more, and issues the badge again unless it holds it after all. It is not told again."
    ),
    DiscrepancyKind.EXTRA: _("Credly revokes the extra badge and tells the learner. Nothing goes to the event bus."),
    DiscrepancyKind.DIFFERENT: _("Credly is asked once more, and what it says then is taken over here."),
}
REPAIRED = ngettext_lazy("The repair of %d discrepancy is queued.", "The repair of %d discrepancies is queued.")


class RepairQueued(DropdownFilter):
    """Whether the repair is queued."""

    title = _("repair")
    parameter_name = "repair"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Both."""
        return [(NOT_QUEUED, _("not queued")), (QUEUED, _("queued"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Discrepancy]) -> QuerySet[Discrepancy]:
        """Those of the choice."""
        if self.value() in (NOT_QUEUED, QUEUED):
            return queryset.filter(repair_queued_at__isnull=self.value() == NOT_QUEUED)
        return queryset


@admin.register(Discrepancy)
class DiscrepancyAdmin(Operable, ModelAdmin):
    """Discrepancies."""

    list_display = ("kind_label", "template", "learner_link", "detail", "badge_link", "found_at", "repair_queued_at")
    list_filter = (("kind", ChoicesDropdownFilter), ("organization", RelatedDropdownFilter), RepairQueued)
    list_filter_submit = True
    list_select_related = ("organization", "template", "badge__learner")
    search_fields = ("=credly_id", "=badge__uuid")
    search_help_text = _("Badge id here or at Credly")
    ordering = ("pk",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("repair",)
    fieldsets = (
        (None, {"fields": ("kind", "detail", "organization", "template")}),
        (_("Badge"), {"fields": ("learner_link", "badge_link", "credly_id")}),
        (_("Times"), {"fields": ("found_at", "repair_queued_at")}),
    )

    def operations(self, obj: Discrepancy) -> list[Operation]:
        """Repair, unless that is queued."""
        if obj.repair_queued_at:
            return []
        return [Operation("repair", gettext("Repair…"), CONSEQUENCES[DiscrepancyKind(obj.kind)])]

    @display(description=_("kind"), ordering="kind", label=COLORS)
    def kind_label(self, discrepancy: Discrepancy) -> tuple[str, str]:
        """The kind, colored."""
        return discrepancy.kind, discrepancy.get_kind_display()

    @display(description=_("learner"))
    def learner_link(self, discrepancy: Discrepancy) -> SafeString | None:
        """The learner."""
        badge = discrepancy.badge
        return link(Learner, badge.learner_id, badge.learner.username) if badge else None

    @display(description=_("badge"))
    def badge_link(self, discrepancy: Discrepancy) -> SafeString | None:
        """Our badge; of an extra one the learner's newest."""
        badge = discrepancy.badge
        return link(Badge, badge.pk, badge.uuid) if badge else None

    @action(description=_("Repair…"), permissions=["operate"])
    def repair(self, request: HttpRequest, queryset: QuerySet[Discrepancy]) -> TemplateResponse | None:
        """Ask, then queue what brings both sides together again."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return None
        selected = list(queryset.select_related(*self.list_select_related))
        if CONFIRMED not in request.POST:
            return self._confirmation(request, selected)
        came = [(row, discrepancies.repair(row, request.user.get_username())) for row in selected]
        nudges.issue([badge for _row, repair in came for badge in repair.badges])
        nudges.recheck([badge for _row, repair in came for badge in repair.rechecks])
        queued = [row for row, repair in came if not repair.refusal]
        self.done(request, queued, gettext("Repair queued."))
        tell(request, len(queued), REPAIRED)
        for refusal in sorted({repair.refusal for _row, repair in came if repair.refusal}):
            number = sum(repair.refusal == refusal for _row, repair in came)
            text = gettext("Not repaired (%(number)d): %(why)s")
            messages.warning(request, text % {"number": number, "why": refusal})
        return None

    def _confirmation(self, request: HttpRequest, selected: list[Discrepancy]) -> TemplateResponse:
        """A page that names what will happen for each, and asks."""
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Repair discrepancies"),
            "opts": self.opts,
            "consequences": [(row, CONSEQUENCES[DiscrepancyKind(row.kind)]) for row in selected],
            "checkbox": ACTION_CHECKBOX_NAME,
            "confirmed": CONFIRMED,
            "from_page": FROM_PAGE if FROM_PAGE in request.POST else "",
        }
        return TemplateResponse(request, "admin/pipeline/discrepancy/confirm.html", context)
