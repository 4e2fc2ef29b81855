"""Credly organizations in the admin: their keys, and the sync of their templates."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from pipeline import nudges, stages
from pipeline.admin.enumeration import enumerated
from pipeline.admin.organization_form import UNSET, OrganizationForm, is_decisive
from pipeline.admin.search import FoundByUuid
from pipeline.admin.wrong_input import ToleratesWrongInput
from pipeline.configuration import keys, organizations
from pipeline.configuration.syncing import SyncResult
from pipeline.credly.outcomes import Confirmed
from pipeline.models import Discrepancy, Organization, Webhook
from pipeline.stages.answers import answered

KEY_FIELDS = ("api_key", "key_fingerprint")
"""What no address may filter by: who guesses it letter by letter would read it off the number of rows."""

ANSWER = "badges.answer"
OFFERED = "badges.unchecked_offered"
"""Where a request carries what Credly answered about the key, and whether to offer to save it unchecked."""

SYNC_SECONDS = 20.0
"""How long a person is let wait for a sync, which then goes on in the background."""


@admin.register(Organization)
class OrganizationAdmin(ToleratesWrongInput, FoundByUuid, ModelAdmin):
    """Credly organizations."""

    form = OrganizationForm
    list_display = (
        "name",
        "key_source",
        "key_set_at",
        "key_expiry",
        "gate_reason",
        "gate_closed_at",
        "last_sync",
        "reconciled_at",
        "templates",
    )
    search_fields = ("name", "uuid")
    actions = ("sync_templates", "reconcile")
    change_form_outer_after_template = "admin/pipeline/organization/after.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """With the number of templates."""
        rows: QuerySet[Organization] = super().get_queryset(request)
        return rows.annotate(template_count=Count("templates"))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Anything but the key."""
        return lookup.split("__")[0] not in KEY_FIELDS and super().lookup_allowed(lookup, value, request)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[Any, int], set[str], list[str]]:
        """What goes with these organizations, counted, for there may be 100,000 webhooks; those with templates stay."""
        chosen = list(objs)
        kept = [organization for organization in chosen if organization.templates.exists()]
        about = gettext(
            "%(organization)s: it has badge templates here, and learners' progress and badges hang on these."
        )
        gone = {model: model.objects.filter(organization__in=chosen) for model in (Webhook, Discrepancy)}
        counts = {self.opts.verbose_name_plural: len(chosen)}
        counts |= {model._meta.verbose_name_plural: rows.count() for model, rows in gone.items()}
        return [str(row) for row in chosen], counts, set(), [about % {"organization": row} for row in kept]

    def get_fieldsets(self, request: HttpRequest, obj: Organization | None = None) -> Any:
        """The key's field only where a key may be set; the check can be left out only when Credly could not be asked."""
        unchecked = ["unchecked"] if request.META.get(OFFERED) else []
        if obj is None:
            return [(None, {"fields": ["uuid", "key", *unchecked]})]
        is_configured = str(obj.uuid) in organizations.configured_keys()
        may_set = self.has_change_permission(request, obj) and not is_configured
        key = ["key", *unchecked] if may_set else []
        return [
            (None, {"fields": ["name", "uuid"]}),
            (_("API key"), {"fields": ["key_source", *key, "key_set_at", "key_expires"]}),
            (_("Calls to Credly"), {"fields": ["gate_reason", "gate_closed_at", "failures", "next_call"]}),
            (_("Badge templates"), {"fields": ["templates", "synced_at", "sync_error"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Organization | None = None) -> tuple[str, ...]:
        """The UUID is the organization: another one is another organization."""
        if obj is None:
            return ()
        return (
            "uuid",
            "key_source",
            "key_set_at",
            "key_expires",
            "gate_reason",
            "gate_closed_at",
            "failures",
            "next_call",
            "templates",
            "synced_at",
            "sync_error",
        )

    def get_form(
        self, request: HttpRequest, obj: Organization | None = None, change: bool = False, **kwargs: Any
    ) -> type[OrganizationForm]:
        """The form, with Credly's answer about the key that was posted."""
        form: type[OrganizationForm] = super().get_form(request, obj, change, **kwargs)
        form.answer = request.META.get(ANSWER)
        return form

    @method_decorator(sensitive_post_parameters("key"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one organization; a key that is posted is checked before, outside the transaction of Django's view."""
        if request.method == "POST":
            self._check_key(request, object_id)
        extra = {"webhook_url": _webhook_url(request) if self.has_change_permission(request) else ""}
        response: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **extra}
        )
        return response

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:
        """Write what was entered and nothing else, for the pipeline writes the same row.  May be repeated.

        1. The organization, with Credly's name for it if it has none.
        2. Note the key: a new one is tried at once.
        3. If Credly took it when it was checked, open the gate also where it is the key of before.
        """
        written = [name for name in form.changed_data if name in ("uuid", "name")]
        if form.cleaned_data.get("key"):
            obj.api_key = form.cleaned_data["key"]
            written.append("api_key")
        if isinstance(form.answer, Confirmed) and not obj.name:
            obj.name = form.answer.value.name[:255]
            written.append("name")
        obj.save(update_fields=written if change else None)
        stages.note_key(obj)
        if isinstance(form.answer, Confirmed):
            answered(obj)

    def response_post_save_add(self, request: HttpRequest, obj: Organization) -> HttpResponse:
        """On to its page, where the templates can be synced."""
        return redirect(_page(obj))

    def get_urls(self) -> list[URLPattern]:
        """With the address of the button *Sync templates*."""
        view = require_POST(self.admin_site.admin_view(self.sync_view))
        own = path("<path:object_id>/sync/", view, name="pipeline_organization_sync")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def sync_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Sync the templates of one organization and say what changed."""
        organization = self.get_object(request, unquote(object_id))
        if organization is None:
            raise Http404
        if not self.has_change_permission(request, organization):
            raise PermissionDenied
        self._sync_now(request, organization)
        return redirect(_page(organization))

    @action(description=_("Sync templates"), permissions=["change"])
    def sync_templates(self, request: HttpRequest, queryset: QuerySet[Organization]) -> None:
        """One organization at once, so that the answer says what changed; several in the background, for each takes a while."""
        chosen = list(queryset)
        if len(chosen) == 1:
            self._sync_now(request, chosen[0])
            return
        nudges.sync([organization.pk for organization in chosen])
        for organization in chosen:
            self.log_change(request, organization, "Had its templates synced in the background.")
        messages.info(
            request,
            gettext("%(number)d organizations are being synced in the background: see the column Last sync.")
            % {"number": len(chosen)},
        )

    @action(description=_("Reconcile with Credly"), permissions=["change"])
    def reconcile(self, request: HttpRequest, queryset: QuerySet[Organization]) -> None:
        """Have the badges compared with Credly's, in the background: each takes a while."""
        chosen = list(queryset)
        nudges.reconcile([organization.pk for organization in chosen])
        for organization in chosen:
            self.log_change(request, organization, "Had its badges compared with Credly's in the background.")
        text = ngettext(
            "The badges of %(number)d organization are being compared with Credly's in the background: "
            "see Discrepancies for what is found, and the column Reconciled for when. A restart loses this request: if "
            "Reconciled stays as it is, ask again.",
            "The badges of %(number)d organizations are being compared with Credly's in the background: "
            "see Discrepancies for what is found, and the column Reconciled for when. A restart loses this request: if "
            "Reconciled stays as it is, ask again.",
            len(chosen),
        )
        messages.info(request, text % {"number": len(chosen)})

    @display(description=_("key"))
    def key_source(self, obj: Organization) -> str:
        """Where the key in use comes from."""
        return keys.source(obj)

    @display(description=_("key expires"), label={"later": "default", "soon": "warning", "expired": "danger"})
    def key_expiry(self, obj: Organization) -> tuple[str, str] | None:
        """When the key expires, for the list: loudly from 30 days before."""
        return _expiry(obj)

    @display(description=_("key expires"))
    def key_expires(self, obj: Organization) -> str | None:
        """The same in words alone."""
        expiry = _expiry(obj)
        return expiry[1] if expiry else None

    @display(description=_("next call"))
    def next_call(self, obj: Organization) -> datetime | None:
        """When Credly may be called next; None if at any time."""
        return obj.call_again_at if obj.gate_reason else None

    @display(description=_("last sync"), ordering="synced_at")
    def last_sync(self, obj: Organization) -> str | None:
        """When the templates were synced, or that it failed since."""
        if obj.sync_error:
            return gettext("failed: %(reason)s") % {"reason": obj.sync_error}
        return date_format(timezone.localtime(obj.synced_at), "DATETIME_FORMAT") if obj.synced_at else None

    @display(description=_("templates"), ordering="template_count")
    def templates(self, obj: Organization) -> str:
        """How many templates it has here, as a link to them."""
        url = f"{reverse('admin:pipeline_template_changelist')}?organization__id__exact={obj.pk}"
        return format_html('<a href="{}" class="text-link">{}</a>', url, getattr(obj, "template_count", 0))

    def _check_key(self, request: HttpRequest, object_id: str | None) -> None:
        """Ask Credly about the key that was posted, if the form is right otherwise; remember the answer in the request."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        may = self.has_change_permission(request, row) if object_id else self.has_add_permission(request)
        if not may or (object_id and row is None):
            return
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
        answer = keys.ask(form.unsaved) if form.is_valid() and form.unsaved else None
        request.META[ANSWER] = answer
        is_open = answer is not None and not is_decisive(answer)
        request.META[OFFERED] = is_open or "unchecked" in request.POST or form.has_error("key", UNSET)

    def _sync_now(self, request: HttpRequest, organization: Organization) -> None:
        result = stages.sync(organization.pk, seconds=SYNC_SECONDS)
        summary = _summary(organization, result)
        self.log_change(request, organization, f"Synced the templates. {result.failure or summary}")
        if result.too_slow:
            nudges.sync([organization.pk])
            messages.warning(request, gettext("%(why)s The sync goes on in the background.") % {"why": result.failure})
        elif result.failure:
            messages.error(request, gettext("The templates were not synced. %(why)s") % {"why": result.failure})
        changes = [str(change) for change in result.changes]
        if changes or not result.failure:
            messages.success(request, format_html("{}{}", summary, enumerated(changes) if changes else ""))
        if result.flagged:
            text = gettext("These templates allow duplicates at Credly, so its own safety net is off: %(names)s.")
            messages.warning(request, text % {"names": ", ".join(result.flagged)})
        if result.only_once:
            text = gettext(
                "These templates have one badge per value here, and Credly allows a learner one in all: %(names)s. Allow "
                "duplicates for them at Credly, then sync."
            )
            messages.warning(request, text % {"names": ", ".join(result.only_once)})


def _page(organization: Model) -> str:
    return reverse("admin:pipeline_organization_change", args=[organization.pk])


def _expiry(organization: Organization) -> tuple[str, str] | None:
    """How urgent it is that the key expires, and when that is."""
    expires = keys.expires_at(organization)
    if expires is None:
        return None
    day = date_format(timezone.localtime(expires))
    left = expires - timezone.now()
    if left.days < 0:
        return "expired", gettext("expired on %(day)s") % {"day": day}
    if left > keys.WARNED_BEFORE:
        return "later", day
    in_days = ngettext("in %(number)d day", "in %(number)d days", left.days) % {"number": left.days}
    return "soon", f"{day}, {in_days}"


def _webhook_url(request: HttpRequest) -> str:
    """The address to enter at Credly."""
    secret = [settings.CREDLY_WEBHOOK_SECRET] if settings.CREDLY_WEBHOOK_SECRET else []
    return request.build_absolute_uri(reverse("webhook", args=secret))


def _summary(organization: Organization, result: SyncResult) -> str:
    return gettext(
        "%(organization)s: %(added)d added, %(changed)d changed, %(withdrawn)d withdrawn, %(unchanged)d unchanged."
    ) % {
        "organization": organization,
        "added": len(result.added),
        "changed": len(result.changed),
        "withdrawn": len(result.withdrawn),
        "unchanged": result.unchanged,
    }
