"""Gaps of the event bus in the admin: what was lost before it was read, and saying that it is dealt with."""

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from pipeline.admin.operating import Operable, Operation, tell
from pipeline.admin.pagination import BoundedPaginator
from pipeline.bus.waiting import is_kafka
from pipeline.ledgers import gaps
from pipeline.models import Gap

MOST_AT_ONCE = 1000
"""Gaps of one action."""

SETTLE = _("Settled: it is dealt with")
SETTLED = ngettext_lazy("%d gap is settled.", "%d gaps are settled.")
WERE_SETTLED = ngettext_lazy("%d gap was settled already.", "%d gaps were settled already.")


@admin.register(Gap)
class GapAdmin(Operable, ModelAdmin):
    """Gaps."""

    list_display = ("found_at", "state_label", "topic", "group", "lost", "lost_from", "lost_until", "settled_at")
    list_filter = (("settled_at", EmptyFieldListFilter),)
    ordering = ("-found_at",)
    sortable_by = ("found_at",)
    paginator = BoundedPaginator
    show_full_result_count = False
    actions = ("settle",)
    fieldsets = (
        (None, {"fields": ("lost", "lost_from", "lost_until", "what_to_do")}),
        (_("Where"), {"fields": ("topic", "group", "after", "before")}),
        (_("Dealt with"), {"fields": ("found_at", "settled_at")}),
    )

    def operations(self, obj: Gap) -> list[Operation]:
        """Settle, once."""
        if obj.settled_at:
            return []
        about = gettext("Takes it off the status page. The row stays here.")
        return [Operation("settle", SETTLE, about)]

    @display(description=_("state"), label={"open": "danger", "settled": "success"})
    def state_label(self, gap: Gap) -> tuple[str, str]:
        """Whether somebody dealt with it, colored."""
        return ("settled", gettext("settled")) if gap.settled_at else ("open", gettext("open"))

    @display(description=_("messages lost"))
    def lost(self, gap: Gap) -> str:
        """How many, as far as the bus can tell."""
        return gettext("unknown: the bus can't tell") if gap.messages is None else str(gap.messages)

    @display(description=_("what to do"))
    def what_to_do(self, gap: Gap) -> str:
        """What an operator can do about it."""
        advice = gettext(
            "Have the LMS send the events of this time again; those that are known fall away. So that it does not happen "
            "again, let the bus keep more (%(setting)s) and see that consumers run."
        )
        if is_kafka():
            return advice % {"setting": gettext("retention.ms and retention.bytes of the topic")}
        return advice % {"setting": gettext("EVENT_BUS_REDIS_STREAM_MAX_LEN on the LMS")}

    @action(description=SETTLE, permissions=["operate"])
    def settle(self, request: HttpRequest, queryset: QuerySet[Gap]) -> None:
        """Note that the chosen gaps are dealt with."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        chosen = list(queryset)
        settled = [gap for gap in chosen if gaps.settle(gap)]
        self.done(request, settled, gettext("Settled."))
        tell(request, len(settled), SETTLED)
        tell(request, len(chosen) - len(settled), WERE_SETTLED, messages.WARNING)
