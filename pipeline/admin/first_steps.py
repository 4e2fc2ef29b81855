"""The way from an empty system to the first active template, for who may go it."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.models import Organization, Template


@dataclass(frozen=True)
class FirstStep:
    """One thing to do, where, and whether it is done."""

    title: str | Promise
    meaning: str | Promise
    url: str
    done: bool


def first_steps(request: HttpRequest) -> list[FirstStep]:
    """What to do until a template is active; nothing afterwards, and for those who may change nothing."""
    if not request.user.has_perm("pipeline.change_template") or Template.objects.filter(active=True).exists():
        return []
    organization = Organization.objects.first()
    ruled = Template.objects.exclude(requirements=None).first()
    template = ruled or Template.objects.first()
    templates = reverse("admin:pipeline_template_changelist")
    page = reverse("admin:pipeline_template_change", args=[template.pk]) if template else templates
    return [
        FirstStep(
            _("Add an organization"),
            _("Its UUID and API key, from Credly."),
            reverse("admin:pipeline_organization_add"),
            organization is not None,
        ),
        FirstStep(
            _("Sync its templates"),
            _("A button on the organization's page."),
            reverse("admin:pipeline_organization_change", args=[organization.pk])
            if organization
            else reverse("admin:pipeline_organization_changelist"),
            template is not None,
        ),
        FirstStep(_("Add requirements"), _("What a learner must do to get the badge."), page, ruled is not None),
        FirstStep(
            _("Try it"),
            _("See what an event would do, without doing it."),
            reverse("admin:pipeline_template_try_it", args=[template.pk]) if template else templates,
            False,
        ),
        FirstStep(_("Activate the template"), _("From then on events count."), page, False),
    ]
