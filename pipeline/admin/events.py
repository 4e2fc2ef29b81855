"""The inbox in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from pipeline.admin.readonly import ReadOnly
from pipeline.models import Event


@admin.register(Event)
class EventAdmin(ReadOnly, ModelAdmin):
    """The inbox."""

    list_display = ("id", "type", "time", "status", "error")
    list_filter = ("status", "type")
    search_fields = ("id",)
    exclude = ("raw",)
