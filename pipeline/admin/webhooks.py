"""Webhooks of Credly in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from pipeline.admin.readonly import ReadOnly
from pipeline.models import Webhook


@admin.register(Webhook)
class WebhookAdmin(ReadOnly, ModelAdmin):
    """Webhooks."""

    list_display = ("event", "event_type", "organization", "state", "received_at")
    list_filter = ("state", "event_type")
    search_fields = ("=event",)
    exclude = ("claim",)
