"""Signals to the event bus in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from pipeline.admin.readonly import ReadOnly
from pipeline.models import Signal


@admin.register(Signal)
class SignalAdmin(ReadOnly, ModelAdmin):
    """Signals to the event bus."""

    list_display = ("uuid", "event_type", "badge", "state", "created_at", "sent_at")
    list_filter = ("state", "event_type")
    search_fields = ("uuid",)
    exclude = ("claim",)
