"""Webhooks of Credly in the admin: what came, what became of it, and having it handled again."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from pipeline import nudges
from pipeline.admin.filters import OTHER, TimeRange
from pipeline.admin.operating import Operable, Operation, tell
from pipeline.admin.pagination import BoundedPaginator
from pipeline.ledgers import webhooks
from pipeline.models import Webhook, WebhookState

MOST_AT_ONCE = 1000
"""Webhooks of one action; each costs calls to Credly."""

TYPES = (
    "badge.created",
    "badge.state.changed",
    "badge.privacy.changed",
    "badge.deleted",
    "badge_template.created",
    "badge_template.changed",
    "badge_template.deleted",
)
"""Types that Credly documents (facts/credly-api.md, section 9.1).  Offered by name, since anybody can post any other."""

COLORS = {
    WebhookState.WAITING: "info",
    WebhookState.HANDLED: "success",
    WebhookState.IGNORED: "default",
    WebhookState.REFUSED: "danger",
}
HANDLE_AGAIN = _("Handle again")
HANDLED_AGAIN = ngettext_lazy("%d webhook is handled again.", "%d webhooks are handled again.")
BUSY = ngettext_lazy("%d is being handled right now.", "%d are being handled right now.")


class WebhookType(DropdownFilter):
    """Webhooks of one documented type, or of all others."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The documented types, and the rest."""
        return [*((name, name) for name in TYPES), (OTHER, _("any other type"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> QuerySet[Webhook]:
        """Those of the chosen type."""
        if self.value() == OTHER:
            return queryset.exclude(event_type__in=TYPES)
        return queryset.filter(event_type=self.value()) if self.value() else queryset


@admin.register(Webhook)
class WebhookAdmin(Operable, ModelAdmin):
    """Webhooks."""

    list_display = ("received_at", "event_type", "organization", "state_label", "short_outcome")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        WebhookType,
        ("organization", RelatedDropdownFilter),
        ("received_at", TimeRange),
    )
    list_filter_submit = True
    list_select_related = ("organization",)
    search_fields = ("=event",)
    search_help_text = _("Event id at Credly")
    ordering = ("-received_at",)
    sortable_by = ("received_at",)
    paginator = BoundedPaginator
    show_full_result_count = False
    actions = ("handle_again",)
    fieldsets = (
        (None, {"fields": ("state", "outcome", "error")}),
        (_("What it says"), {"fields": ("event_type", "event", "organization")}),
        (_("Way"), {"fields": ("received_at", "attempts", "due_at")}),
    )

    def operations(self, obj: Webhook) -> list[Operation]:
        """Handle again, whatever became of it."""
        about = gettext("Asks Credly about this event and takes over how things are there now. Nothing is done twice.")
        return [Operation("handle_again", HANDLE_AGAIN, about)]

    @display(description=_("state"), label=COLORS)
    def state_label(self, webhook: Webhook) -> tuple[str, str]:
        """The state, colored."""
        return webhook.state, webhook.get_state_display()

    @display(description=_("outcome"))
    def short_outcome(self, webhook: Webhook) -> str:
        """What became of it or, while it waits, why."""
        return Truncator(webhook.outcome or webhook.error).chars(120)

    @action(description=HANDLE_AGAIN, permissions=["operate"])
    def handle_again(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Have the chosen webhooks verified and obeyed once more."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        chosen = list(queryset)
        again = [webhook for webhook in chosen if webhooks.handle_again(webhook)]
        nudges.webhook([webhook.pk for webhook in again])
        self.done(request, again, gettext("Handled again."))
        tell(request, len(again), HANDLED_AGAIN)
        tell(request, len(chosen) - len(again), BUSY, messages.WARNING)
