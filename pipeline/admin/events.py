"""The inbox in the admin."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter
from unfold.decorators import action, display

from pipeline import replaying
from pipeline.admin import trial
from pipeline.admin.filters import EventType, TimeRange, short
from pipeline.admin.links import breakable, lines, link, preformatted, pretty
from pipeline.admin.operating import Operable, Operation, tell
from pipeline.admin.pagination import BoundedPaginator
from pipeline.admin.search import learners, number_of, uuid_of
from pipeline.bus.descriptions import describe
from pipeline.models import Badge, Event, EventStatus, Fulfillment, Learner, Occurrence, Template
from pipeline.reports import effects

MOST_AT_ONCE = 5000
"""Events of one action: putting them back takes seconds, and those that come in meanwhile queue behind them."""

MOST_LEARNERS = 100
MOST_RAW = 20_000

COLORS = {
    EventStatus.RECEIVED: "info",
    EventStatus.PROCESSED: "success",
    EventStatus.IGNORED: "default",
    EventStatus.FAILED: "danger",
}
REDRIVE = _("Redrive failed events")
REPLAY = _("Replay: evaluate again")
EVALUATED_AGAIN = ngettext_lazy("%d event is evaluated again.", "%d events are evaluated again.")
UNREADABLE = ngettext_lazy(
    "%d event could not be read when it came, so it stays failed: its error says why.",
    "%d events could not be read when they came, so they stay failed: their errors say why.",
)


@admin.register(Event)
class EventAdmin(Operable, ModelAdmin):
    """The inbox."""

    list_display = ("short_type", "status_label", "learner_link", "received_at", "time", "short_error")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        EventType,
        ("received_at", TimeRange),
        ("error", FieldTextFilter),
    )
    list_filter_submit = True
    search_fields = ("id",)
    search_help_text = _("Event id, or the learner's username, e-mail or LMS id (each exactly)")
    ordering = ("-received_at",)
    sortable_by = ("received_at",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("redrive", "replay")
    fieldsets = (
        (None, {"fields": ("outcome", "decided", "counted", "badges", "error", "note", "trials")}),
        (_("Event"), {"fields": ("id", "full_type", "time", "source", "learner_link")}),
        (_("Payload"), {"fields": ("shown_payload", "shown_raw")}),
        (_("Way"), {"fields": ("status", "topic", "position", "received_at", "attempts", "due_at", "traceback")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Events with their learner's name, without their data: a page of them may be megabytes."""
        learner = Learner.objects.filter(lms_user_id=OuterRef("lms_user_id"))
        events: QuerySet[Event] = super().get_queryset(request)
        return events.defer("payload", "raw").annotate(
            learner_pk=Subquery(learner.values("pk")), learner_name=Subquery(learner.values("username"))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """Events of this id, or about this learner."""
        term = search_term.strip()
        if not term:
            return queryset, False
        event = uuid_of(term)
        if event:
            return queryset.filter(pk=event), False
        named = set(learners(term).values_list("lms_user_id", flat=True)[:MOST_LEARNERS])
        # Also of a learner whose events met no rule yet.
        number = number_of(term)
        return queryset.filter(lms_user_id__in=named | ({number} if number is not None else set())), False

    def operations(self, obj: Event) -> list[Operation]:
        """Redrive or replay, if it ended and could be read."""
        if obj.raw is not None or obj.status == EventStatus.RECEIVED:
            return []
        if obj.status == EventStatus.FAILED:
            about = gettext("Evaluates it once more, when the cause of the error is removed.")
            return [Operation("redrive", gettext("Redrive"), about)]
        about = gettext("Evaluates it once more, by the rules of now. What it did already is not done twice.")
        return [Operation("replay", gettext("Replay"), about)]

    @display(description=_("type"), ordering="type")
    def short_type(self, event: Event) -> str:
        """What it is about in words, and small the type without what all types have in common."""
        if not event.type:
            return gettext("unknown")
        words = '{}<br><span class="font-normal text-subtle text-xs">{}</span>'
        return format_html(words, describe(event.type).title, short(event.type))

    @display(description=_("type"))
    def full_type(self, event: Event) -> SafeString | str:
        """The type's whole name."""
        return breakable(event.type) or "-"

    @display(description=_("status"), label=COLORS)
    def status_label(self, event: Event) -> tuple[str, str]:
        """The status, colored."""
        return event.status, event.get_status_display()

    @display(description=_("learner"))
    def learner_link(self, event: Any) -> SafeString | str:
        """The learner: by name if known, else by LMS id."""
        if event.learner_pk:
            return link(Learner, event.learner_pk, event.learner_name)
        return "-" if event.lms_user_id is None else f"LMS {event.lms_user_id}"

    @display(description=_("error"))
    def short_error(self, event: Event) -> str:
        """The beginning of the error."""
        return Truncator(event.error).chars(80)

    @display(description=_("outcome"))
    def outcome(self, event: Event) -> str:
        """What became of it."""
        return effects.outcome(event, effects.decisions(event).count(), effects.counted(event).count())

    @display(description=_("decides"))
    def decided(self, event: Event) -> SafeString | str:
        """The requirements whose newest event it is."""
        rows = [
            _on_requirement(row, gettext("fulfills") if row.fulfilled else gettext("takes back"))
            for row in effects.decisions(event)
        ]
        return lines(rows) if rows else "-"

    @display(description=_("counts for"))
    def counted(self, event: Event) -> SafeString | str:
        """The requirements for which it counts beside others, or takes back what counted."""
        rows = [
            _on_requirement(row, gettext("counts for") if row.fulfills else gettext("takes back what counted for"))
            for row in effects.counted(event)
        ]
        return lines(rows) if rows else "-"

    @display(description=_("changed badges"))
    def badges(self, event: Event) -> SafeString | str:
        """What it did to badges."""
        rows = [
            format_html("{}: {}", row.what, link(Badge, row.badge_id, f"{row.badge.template} ({row.badge.uuid})"))
            for row in effects.badge_changes(event)
        ]
        return lines(rows) if rows else "-"

    @display(description=_("try it on"))
    def trials(self, event: Event) -> SafeString | str:
        """Links that try it on templates, which changes nothing."""
        return trial.links(event)

    @display(description=_("payload"))
    def shown_payload(self, event: Event) -> SafeString:
        """The payload as JSON."""
        return pretty(event.payload)

    @display(description=_("as it came, if it can't be read"))
    def shown_raw(self, event: Event) -> SafeString | str:
        """The message as it came: its fields as JSON, each percent-encoded name with its value in base64."""
        if event.raw is None:
            return "-"
        return preformatted(bytes(event.raw[:MOST_RAW]).decode(errors="backslashreplace"))

    @action(description=REDRIVE, permissions=["operate"])
    def redrive(self, request: HttpRequest, queryset: QuerySet[Event]) -> None:
        """Put failed events back to work."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        failed = queryset.filter(status=EventStatus.FAILED)
        self._run(request, failed, replaying.redrive, gettext("Redriven."))

    @action(description=REPLAY, permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Event]) -> None:
        """Run events that ended again."""
        if not self.within(request, queryset, MOST_AT_ONCE):
            return
        ended = queryset.exclude(status=EventStatus.RECEIVED)
        self._run(request, ended, replaying.replay, gettext("Replayed."))

    def _run(
        self, request: HttpRequest, events: QuerySet[Event], work: Callable[[Sequence[UUID]], int], log: str
    ) -> None:
        """Do the work chunk by chunk, the oldest first, and tell what came of it."""
        unreadable = events.exclude(raw=None).count()
        ids = list(events.filter(raw=None).order_by("received_at", "id").values_list("pk", flat=True))
        number = 0
        for start in range(0, len(ids), replaying.AT_ONCE):
            chunk = ids[start : start + replaying.AT_ONCE]
            number += work(chunk)
            self.done(request, list(Event.objects.only("id", "type").filter(pk__in=chunk)), log)
        tell(request, number, EVALUATED_AGAIN)
        tell(request, unreadable, UNREADABLE, messages.WARNING)
        if not number and not unreadable:
            messages.warning(request, gettext("None of them could be run again, so nothing was done."))


def _on_requirement(row: Fulfillment | Occurrence, verb: str) -> SafeString:
    template = link(Template, row.progress.template_id, row.progress.template)
    return format_html("{} “{}” {} {}", verb, row.requirement.slug, gettext("of"), template)
