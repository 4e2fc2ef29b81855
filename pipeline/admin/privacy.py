"""A learner's rights: the buttons on their page that export and retire them."""

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.enums import ActionVariant

from pipeline.ledgers import retirement
from pipeline.ledgers.observations import HELD
from pipeline.models import Event, Learner
from pipeline.reports.export import learner_export


class Privacy:
    """Export and retirement of one learner.  For the admin class of learners; operators only."""

    actions_detail: Any = ("export", "retire")
    admin_site: Any
    opts: Any

    @action(description=gettext_lazy("Export data"), url_path="export", permissions=["operate"], icon="download")
    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All that is held about the learner, as a file; the admin's pages are kept by no cache."""
        learner = self._learner(request, object_id)
        self.log_change(request, learner, _("Exported the learner's data."))  # type: ignore[attr-defined]
        answer = JsonResponse(learner_export(learner.lms_user_id), json_dumps_params={"indent": 2})
        answer["Content-Disposition"] = f'attachment; filename="learner-{learner.lms_user_id}.json"'
        return answer

    @action(
        description=gettext_lazy("Retire learner"),
        url_path="retire",
        permissions=["operate"],
        icon="person_off",
        variant=ActionVariant.DANGER,
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what retiring means; do it when that is confirmed."""
        learner = self._learner(request, object_id)
        page = reverse("admin:pipeline_learner_change", args=[learner.pk])
        if request.method == "POST":
            self._retire(request, learner)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": learner,
            "title": _("Retire learner {id}").format(id=learner.lms_user_id),
            "page": page,
            "events": Event.objects.filter(lms_user_id=learner.lms_user_id).count(),
            "at_credly": learner.badges.filter(credly_state__in=HELD).count(),
        }
        return TemplateResponse(request, "admin/pipeline/learner/retire.html", context)

    def _retire(self, request: HttpRequest, learner: Learner) -> None:
        retired = retirement.retire(learner.lms_user_id)
        done = _(
            "The learner is retired. Changed: events {events}, signals {signals}, other texts {texts}; unreadable messages "
            "emptied: {unreadable}."
        ).format(**asdict(retired))
        self.log_change(request, learner, done)  # type: ignore[attr-defined]
        messages.success(request, done)

    def _learner(self, request: HttpRequest, object_id: str) -> Learner:
        learner: Learner | None = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if learner is None:
            raise Http404
        return learner
