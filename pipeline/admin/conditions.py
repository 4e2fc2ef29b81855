"""Requirements and penalties with their rules in the admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from pipeline.models import Penalty, PenaltyRule, Requirement, RequirementRule


class RequirementRuleInline(TabularInline):
    """The rules of a requirement."""

    model = RequirementRule
    extra = 0


class PenaltyRuleInline(TabularInline):
    """The rules of a penalty."""

    model = PenaltyRule
    extra = 0


@admin.register(Requirement)
class RequirementAdmin(ModelAdmin):
    """Requirements with their rules."""

    list_display = ("slug", "template", "event_type", "group")
    list_filter = ("event_type",)
    inlines = (RequirementRuleInline,)


@admin.register(Penalty)
class PenaltyAdmin(ModelAdmin):
    """Penalties with their rules."""

    list_display = ("slug", "template", "event_type")
    list_filter = ("event_type",)
    filter_horizontal = ("requirements",)
    inlines = (PenaltyRuleInline,)
