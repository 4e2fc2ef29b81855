"""Credly organizations in the admin."""

from django import forms
from django.contrib import admin
from unfold.admin import ModelAdmin

from pipeline.models import Organization


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
class OrganizationAdmin(ModelAdmin):
    """Credly organizations."""

    form = OrganizationForm
    list_display = ("name", "uuid", "key_refused_since")
