"""Learners in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from pipeline.admin.readonly import ReadOnly
from pipeline.models import Fulfillment, Learner, Progress


@admin.register(Learner)
class LearnerAdmin(ReadOnly, ModelAdmin):
    """Learners."""

    list_display = ("lms_user_id", "username", "email", "active")
    search_fields = ("=lms_user_id", "username", "email")


class FulfillmentInline(ReadOnly, TabularInline):
    """What decided each requirement."""

    model = Fulfillment


@admin.register(Progress)
class ProgressAdmin(ReadOnly, ModelAdmin):
    """Badge progress records."""

    list_display = ("learner", "template")
    list_filter = ("template",)
    search_fields = ("learner__username",)
    inlines = (FulfillmentInline,)
