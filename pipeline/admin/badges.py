"""Badges in the admin."""

from urllib.parse import urljoin

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from pipeline.admin.badge_actions import BadgeActions
from pipeline.admin.filters import TimeRange, short
from pipeline.admin.links import link, with_value
from pipeline.admin.operating import Operation
from pipeline.admin.pagination import BoundedPaginator
from pipeline.admin.readonly import ReadOnly
from pipeline.admin.search import learners, uuid_of
from pipeline.ledgers.badges import BY_A_PERSON
from pipeline.models import Badge, BadgeHistory, CredlyState, Event, Learner, Signal, SignalState, Standing, Template
from pipeline.reports.next_step import next_step

STANDING_COLORS = {Standing.AWARDED: "success", Standing.REVOKED: "default"}
CREDLY_COLORS = {
    CredlyState.NONE: "default",
    CredlyState.ISSUING: "info",
    CredlyState.PENDING: "success",
    CredlyState.ACCEPTED: "success",
    CredlyState.REJECTED: "warning",
    CredlyState.REVOKING: "info",
    CredlyState.REVOKED: "default",
    CredlyState.FAILED: "danger",
}
SIGNAL_COLORS = {
    SignalState.PENDING: "info",
    SignalState.SENT: "success",
    SignalState.DISABLED: "default",
    SignalState.FAILED: "danger",
}


class HistoryInline(ReadOnly, TabularInline):
    """What happened to a badge."""

    model = BadgeHistory
    fields = ("at", "what", "outcome", "event_link", "actor")
    readonly_fields = fields
    hide_title = True

    @display(description=_("event"))
    def event_link(self, entry: BadgeHistory) -> SafeString | str:
        """The event that caused it; it may be purged by now."""
        return link(Event, entry.event, str(entry.event)[:8]) if entry.event else "-"


class SignalInline(ReadOnly, TabularInline):
    """What was told about a badge."""

    model = Signal
    fields = ("signal_link", "state", "created_at", "sent_at", "error")
    readonly_fields = fields
    hide_title = True

    @display(description=_("signal"))
    def signal_link(self, signal: Signal) -> SafeString:
        """What it tells, as the link to its page."""
        return link(Signal, signal.pk, short(signal.event_type))


@admin.register(Badge)
class BadgeAdmin(BadgeActions, ModelAdmin):
    """Credly badges."""

    list_display = (
        "name",
        "learner_link",
        "cycle",
        "standing_label",
        "credly_label",
        "earned_at",
        "due_at",
        "short_error",
    )
    list_display_links = ("name",)
    list_filter = (
        ("standing", ChoicesDropdownFilter),
        ("credly_state", ChoicesDropdownFilter),
        ("template", RelatedDropdownFilter),
        ("template__organization", RelatedDropdownFilter),
        ("revoked_by", ChoicesDropdownFilter),
        ("earned_at", TimeRange),
    )
    list_filter_submit = True
    list_select_related = ("template", "learner")
    search_fields = ("uuid",)
    search_help_text = _("Badge id, Credly id, or the learner's username, e-mail or LMS id (each exactly)")
    ordering = ("-pk",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("retry_now", "revoke", "let_rules_decide", "recheck")
    fieldsets = (
        (None, {"fields": ("next_step", "standing", "credly_state", "error", "credly_link")}),
        (_("Revocation"), {"fields": ("revoked_by", "revocation_reason")}),
        (
            _("Badge"),
            {"fields": ("template_link", "learner_link", "uuid", "cycle", "earned_at", "created_at")},
        ),
        (_("Work"), {"fields": ("attempts", "without_result", "due_at", "claimed_until", "nudged_at", "traceback")}),
    )
    inlines = (HistoryInline, SignalInline)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Badge], search_term: str
    ) -> tuple[QuerySet[Badge], bool]:
        """Badges of this id here or at Credly, or of this learner."""
        term = search_term.strip()
        if not term:
            return queryset, False
        badge = uuid_of(term)
        if badge:
            return queryset.filter(Q(uuid=badge) | Q(credly_id=badge)), False
        return queryset.filter(learner__in=learners(term)), False

    def operations(self, obj: Badge) -> list[Operation]:
        """The actions that can change something now."""
        offered = []
        if obj.credly_state == CredlyState.FAILED or obj.due_at:
            about = gettext("Tries at once what waits or failed.")
            offered.append(Operation("retry_now", gettext("Retry now"), about))
        if obj.standing == Standing.AWARDED:
            about = gettext("Takes the badge from the learner for good. Asks for a reason first.")
            offered.append(Operation("revoke", gettext("Revoke with reason…"), about))
        if obj.standing == Standing.REVOKED and obj.revoked_by in BY_A_PERSON:
            about = gettext(
                "Awards it again if the learner fulfills the template now, else changes nothing. Asks first."
            )
            offered.append(Operation("let_rules_decide", gettext("Let the rules decide…"), about))
        if obj.credly_id or obj.credly_state in (CredlyState.ISSUING, CredlyState.FAILED):
            about = gettext("Reads what Credly holds of it and takes that over.")
            offered.append(Operation("recheck", gettext("Re-check at Credly"), about))
        return offered

    @display(description=_("template"), ordering="template__name")
    def name(self, badge: Badge) -> SafeString | str:
        """The template's name, as the link to the badge; and what it is for, if there may be several."""
        return with_value(badge.template, badge.value)

    @display(description=_("template"))
    def template_link(self, badge: Badge) -> SafeString | str:
        """The template, and for what value of its `per`."""
        return with_value(link(Template, badge.template_id, badge.template), badge.value)

    @display(description=_("learner"))
    def learner_link(self, badge: Badge) -> SafeString:
        """The learner."""
        return link(Learner, badge.learner_id, badge.learner.username)

    @display(description=_("standing"), label=STANDING_COLORS)
    def standing_label(self, badge: Badge) -> tuple[str, str]:
        """The standing, colored."""
        return badge.standing, badge.get_standing_display()

    @display(description=_("at Credly"), label=CREDLY_COLORS)
    def credly_label(self, badge: Badge) -> tuple[str, str]:
        """What Credly holds, colored."""
        return badge.credly_state, badge.get_credly_state_display()

    @display(description=_("error"))
    def short_error(self, badge: Badge) -> str:
        """The beginning of the error."""
        return Truncator(badge.error).chars(60)

    @display(description=_("next step"))
    def next_step(self, badge: Badge) -> str:
        """What happens next."""
        return next_step(badge)

    @display(description=_("taken up since the last result"))
    def without_result(self, badge: Badge) -> int:
        """How often: each may be a worker that died of it."""
        return badge.taken_up

    @display(description=_("at Credly"))
    def credly_link(self, badge: Badge) -> SafeString | str:
        """The badge's page at Credly."""
        if badge.credly_id is None:
            return "-"
        credly = settings.BADGES_CONFIG["credly"]
        base = credly["CREDLY_SANDBOX_BASE_URL" if credly["USE_SANDBOX"] else "CREDLY_BASE_URL"]
        url = urljoin(base, f"badges/{badge.credly_id}")
        return format_html('<a href="{}" class="text-link" rel="noreferrer">{}</a>', url, badge.credly_id)
