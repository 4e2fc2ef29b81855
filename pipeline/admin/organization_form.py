"""The form of an organization: its key goes in, is checked against Credly, and never comes out again."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanWidget

from pipeline.configuration import organizations
from pipeline.credly.outcomes import Confirmed, Outcome, Rejected, Unauthorized
from pipeline.credly.records import OrganizationInfo
from pipeline.models import Organization

NOT_FOUND = 404
KEY_VARIABLE = re.compile(r"CREDLY_(?!ORGANIZATIONS\Z|WEBHOOK_SECRET\Z)[A-Z0-9_]*")
"""Which variables of the environment may be named here.  Any other could hold another secret, which would go to Credly."""

UNSET = "unset"
"""Code of the error that says that a variable of the environment is not set."""


def is_decisive(answer: Outcome[OrganizationInfo]) -> bool:
    """Whether Credly said if the key is right; if it could not be asked, a person may go on without."""
    if isinstance(answer, Rejected):
        return answer.status == NOT_FOUND
    return isinstance(answer, Confirmed | Unauthorized)


class OrganizationForm(forms.ModelForm):
    """A key can be set and never read back.

    The form itself calls nobody, for Django validates it inside a transaction: whoever uses it sets `answer` to what Credly
    said before, if `unsaved` names somebody to ask for.
    """

    answer: Outcome[OrganizationInfo] | None = None

    key = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        label=_("API key"),
        help_text=_(
            "An authorization token of the organization at Credly, or env:CREDLY_NAME for one in the environment variable "
            "CREDLY_NAME, whose name has to begin with CREDLY_. It is checked at Credly, stored encrypted and never shown "
            "again."
        ),
    )
    unchecked = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        label=_("Save without checking"),
        help_text=_("The key is then tried when the first badge is issued or the templates are synced."),
    )

    class Meta:
        model = Organization
        fields = ("uuid", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unsaved: Organization | None = None
        if not self.instance._state.adding:
            self.fields["key"].label = _("New API key")
            self.fields["key"].help_text = _("Empty: the stored key stays. %(about)s") % {
                "about": self.fields["key"].help_text
            }
            if str(self.instance.uuid) in organizations.configured_keys():
                del self.fields["key"]

    def clean_key(self) -> str:
        """Refuse any variable that is not one for keys, before anybody looks whether it is set."""
        key: str = self.cleaned_data["key"]
        name = key.removeprefix(organizations.ENVIRONMENT_PREFIX)
        if name != key and not KEY_VARIABLE.fullmatch(name):
            raise forms.ValidationError(
                _(
                    "Only environment variables for keys can be named here: env:CREDLY_ and then capital letters, digits and "
                    "underscores, such as env:CREDLY_API_KEY. Other settings, such as CREDLY_ORGANIZATIONS, are none."
                )
            )
        return key

    def clean(self) -> dict[str, Any]:
        """Find out which key to ask Credly about, and say at the right field what it answered."""
        cleaned = super().clean() or {}
        uuid = cleaned.get("uuid") or self.instance.uuid
        key = cleaned.get("key", "")
        if uuid and "key" not in self.errors and (key or self.instance._state.adding):
            self._choose_key(Organization(uuid=uuid, api_key=key), unchecked=cleaned.get("unchecked", False))
        if self.answer is not None:
            self._tell(self.answer)
        return cleaned

    def _choose_key(self, organization: Organization, *, unchecked: bool) -> None:
        is_configured = str(organization.uuid) in organizations.configured_keys()
        if is_configured and organization.api_key:
            self.add_error(
                "key", _("This organization's key comes from the environment (CREDLY_ORGANIZATIONS): leave this empty.")
            )
        elif not is_configured and not organization.api_key:
            self.add_error("key", _("Enter the API key of this organization."))
        elif not unchecked:
            try:
                organizations.api_key(organization)
            except organizations.KeyMissing as missing:
                self.add_error("key", forms.ValidationError(str(missing), code=UNSET))
            else:
                self.unsaved = organization

    def _tell(self, answer: Outcome[OrganizationInfo]) -> None:
        match answer:
            case Confirmed():
                pass
            case Unauthorized(message=message):
                field = "key" if "key" in self.fields else None
                self.add_error(field, _("Credly refuses this key: %(message)s") % {"message": message})
            case Rejected(status=404, message=message):
                field = "uuid" if "uuid" in self.fields else None
                self.add_error(field, _("Credly knows no such organization: %(message)s") % {"message": message})
            case _:
                self.add_error(
                    None,
                    _("The key could not be checked. %(reason)s Try again, or choose to save without checking.")
                    % {"reason": _sentence(organizations.reason(answer))},
                )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
