"""Organizations, templates, requirements and penalties in the admin."""

from django import forms
from django.contrib import admin

from pipeline.models import Organization, Penalty, PenaltyRule, Requirement, RequirementRule, Template


class OrganizationForm(forms.ModelForm):
    """A key can be set and never read back: left empty, the stored one stays."""

    api_key = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        label="API key",
        help_text="Credly authorization token, or env:NAME to take it from the environment. Empty: the stored key stays.",
    )

    class Meta:
        model = Organization
        fields = ("uuid", "name", "api_key")

    def clean_api_key(self) -> str | None:
        """The key that was entered, else the stored one."""
        entered: str | None = self.cleaned_data["api_key"] or self.instance.api_key
        return entered


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):
    """Credly organizations."""

    form = OrganizationForm
    list_display = ("name", "uuid", "key_refused_since")


class RequirementInline(admin.TabularInline):
    """Requirements on the template's page; their rules are on their own page."""

    model = Requirement
    extra = 0
    show_change_link = True


class PenaltyInline(admin.TabularInline):
    """Penalties on the template's page."""

    model = Penalty
    extra = 0
    show_change_link = True


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):
    """Badge templates."""

    list_display = ("name", "organization", "state", "active", "reaward")
    list_filter = ("active", "state", "organization")
    search_fields = ("name", "uuid")
    inlines = (RequirementInline, PenaltyInline)


class RequirementRuleInline(admin.TabularInline):
    """The rules of a requirement."""

    model = RequirementRule
    extra = 0


class PenaltyRuleInline(admin.TabularInline):
    """The rules of a penalty."""

    model = PenaltyRule
    extra = 0


@admin.register(Requirement)
class RequirementAdmin(admin.ModelAdmin):
    """Requirements with their rules."""

    list_display = ("slug", "template", "event_type", "group")
    list_filter = ("event_type",)
    inlines = (RequirementRuleInline,)


@admin.register(Penalty)
class PenaltyAdmin(admin.ModelAdmin):
    """Penalties with their rules."""

    list_display = ("slug", "template", "event_type")
    list_filter = ("event_type",)
    filter_horizontal = ("requirements",)
    inlines = (PenaltyRuleInline,)
