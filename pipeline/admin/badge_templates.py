"""Badge templates in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from pipeline.models import Penalty, Requirement, Template


class RequirementInline(TabularInline):
    """Requirements on the template's page; their rules are on their own page."""

    model = Requirement
    extra = 0
    show_change_link = True


class PenaltyInline(TabularInline):
    """Penalties on the template's page."""

    model = Penalty
    extra = 0
    show_change_link = True


@admin.register(Template)
class TemplateAdmin(ModelAdmin):
    """Badge templates."""

    list_display = ("name", "organization", "state", "active", "reaward")
    list_filter = ("active", "state", "organization")
    search_fields = ("name", "uuid")
    inlines = (RequirementInline, PenaltyInline)
