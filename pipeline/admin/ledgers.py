"""The ledgers in the admin: to look at, not to change by hand."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from pipeline.models import Badge, BadgeHistory, Event, Fulfillment, Learner, Progress, Signal


class ReadOnly:
    """Nothing can be added, changed or deleted: the pipeline alone writes its ledgers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(Event)
class EventAdmin(ReadOnly, admin.ModelAdmin):
    """The inbox."""

    list_display = ("id", "type", "time", "status", "error")
    list_filter = ("status", "type")
    search_fields = ("id",)
    exclude = ("raw",)


@admin.register(Learner)
class LearnerAdmin(ReadOnly, admin.ModelAdmin):
    """Learners."""

    list_display = ("lms_user_id", "username", "email", "active")
    search_fields = ("=lms_user_id", "username", "email")


class FulfillmentInline(ReadOnly, admin.TabularInline):
    """What decided each requirement."""

    model = Fulfillment


@admin.register(Progress)
class ProgressAdmin(ReadOnly, admin.ModelAdmin):
    """Badge progress records."""

    list_display = ("learner", "template")
    list_filter = ("template",)
    search_fields = ("learner__username",)
    inlines = (FulfillmentInline,)


class BadgeHistoryInline(ReadOnly, admin.TabularInline):
    """What happened to a badge."""

    model = BadgeHistory


@admin.register(Badge)
class BadgeAdmin(ReadOnly, admin.ModelAdmin):
    """Credly badges."""

    list_display = ("uuid", "template", "learner", "cycle", "standing", "credly_state", "due_at", "error")
    list_filter = ("standing", "credly_state", "template")
    search_fields = ("uuid", "credly_id", "learner__username")
    exclude = ("claim",)
    inlines = (BadgeHistoryInline,)


@admin.register(Signal)
class SignalAdmin(ReadOnly, admin.ModelAdmin):
    """Signals to the event bus."""

    list_display = ("uuid", "event_type", "badge", "state", "created_at", "sent_at")
    list_filter = ("state", "event_type")
    search_fields = ("uuid",)
    exclude = ("claim",)
