"""Badges in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from pipeline.admin.readonly import ReadOnly
from pipeline.models import Badge, BadgeHistory


class BadgeHistoryInline(ReadOnly, TabularInline):
    """What happened to a badge."""

    model = BadgeHistory


@admin.register(Badge)
class BadgeAdmin(ReadOnly, ModelAdmin):
    """Credly badges."""

    list_display = ("uuid", "template", "learner", "cycle", "standing", "credly_state", "due_at", "error")
    list_filter = ("standing", "credly_state", "template")
    search_fields = ("uuid", "credly_id", "learner__username")
    exclude = ("claim",)
    inlines = (BadgeHistoryInline,)
