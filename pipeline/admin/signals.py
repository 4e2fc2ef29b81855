"""Signals to the event bus in the admin."""

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from pipeline import nudges
from pipeline.admin.filters import TimeRange, short
from pipeline.admin.links import breakable, link, pretty
from pipeline.admin.operating import Operable, Operation, tell
from pipeline.admin.pagination import BoundedPaginator
from pipeline.admin.search import learners, uuid_of
from pipeline.ledgers import outbox
from pipeline.models import Badge, Learner, Signal, SignalState

MOST_AT_ONCE = 1000
"""Signals of one action."""

COLORS = {
    SignalState.PENDING: "info",
    SignalState.SENT: "success",
    SignalState.DISABLED: "default",
    SignalState.FAILED: "danger",
}
TRIED_AGAIN = ngettext_lazy("%d signal is sent again.", "%d signals are sent again.")
LEFT = ngettext_lazy(
    "%d signal was left alone: it did not fail, or a later one about the same learner and template was sent since.",
    "%d signals were left alone: they did not fail, or a later one about the same learner and template was sent since.",
)


@admin.register(Signal)
class SignalAdmin(Operable, ModelAdmin):
    """Signals to the event bus."""

    list_display = ("tells", "state_label", "learner_link", "badge_link", "created_at", "sent_at", "error")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("badge__template", RelatedDropdownFilter),
        ("created_at", TimeRange),
    )
    list_filter_submit = True
    list_select_related = ("badge__template", "badge__learner")
    search_fields = ("uuid",)
    search_help_text = _("Signal id, badge id, or the learner's username, e-mail or LMS id (each exactly)")
    ordering = ("-pk",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("redrive",)
    fieldsets = (
        (None, {"fields": ("tells", "state", "error", "badge_link", "learner_link")}),
        (_("Signal"), {"fields": ("uuid", "full_type", "created_at", "sent_at", "shown_payload")}),
        (_("Work"), {"fields": ("attempts", "without_result", "due_at", "claimed_until", "nudged_at", "traceback")}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Signal], search_term: str
    ) -> tuple[QuerySet[Signal], bool]:
        """Signals of this id, about this badge or about this learner's badges."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = uuid_of(term)
        if found:
            return queryset.filter(Q(uuid=found) | Q(badge__uuid=found)), False
        return queryset.filter(badge__learner__in=learners(term)), False

    def operations(self, obj: Signal) -> list[Operation]:
        """Redrive, if it failed."""
        if obj.state != SignalState.FAILED:
            return []
        return [Operation("redrive", gettext("Redrive"), gettext("Puts it on the event bus, if that takes it now."))]

    @display(description=_("tells"), ordering="event_type")
    def tells(self, signal: Signal) -> str:
        """The fact."""
        return short(signal.event_type)

    @display(description=_("type"))
    def full_type(self, signal: Signal) -> SafeString:
        """The type's whole name."""
        return breakable(signal.event_type)

    @display(description=_("state"), label=COLORS)
    def state_label(self, signal: Signal) -> tuple[str, str]:
        """The state, colored."""
        return signal.state, signal.get_state_display()

    @display(description=_("learner"))
    def learner_link(self, signal: Signal) -> SafeString:
        """The learner."""
        return link(Learner, signal.badge.learner_id, signal.badge.learner.username)

    @display(description=_("badge"))
    def badge_link(self, signal: Signal) -> SafeString:
        """The badge."""
        return link(Badge, signal.badge_id, signal.badge.template)

    @display(description=_("taken up since the last result"))
    def without_result(self, signal: Signal) -> int:
        """How often: each may be a worker that died of it."""
        return signal.taken_up

    @display(description=_("payload"))
    def shown_payload(self, signal: Signal) -> SafeString:
        """The payload as JSON."""
        return pretty(signal.payload)

    @action(description=_("Redrive failed signals"), permissions=["operate"])
    def redrive(self, request: HttpRequest, queryset: QuerySet[Signal]) -> None:
        """Put failed signals back to work."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        selected = list(queryset)
        again = [signal for signal in selected if outbox.redrive(signal)]
        nudges.emit([signal.pk for signal in again])
        self.done(request, again, gettext("Redriven."))
        tell(request, len(again), TRIED_AGAIN)
        tell(request, len(selected) - len(again), LEFT, messages.WARNING)
