"""Acting on what the pipeline alone writes: the same actions on lists and, as buttons, on a row's own page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from pipeline.admin.readonly import ReadOnly

FROM_PAGE = "from_page"
"""The form's field that says that the button was on a row's own page, so the answer goes there."""


@dataclass(frozen=True)
class Operation:
    """A button on a row's page: the action's name, and what it does, in words."""

    action: str
    label: str | Promise
    explanation: str | Promise


class Operable(ReadOnly):
    """Rows that operators act on.  For admin classes."""

    change_form_outer_before_template = "admin/pipeline/operations.html"
    actions_on_bottom = False
    admin_site: Any

    def operations(self, obj: Any) -> Sequence[Operation]:
        """The actions that make sense for this row."""
        raise NotImplementedError

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The row's page with the buttons that this member of staff may press."""
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]
        allowed = obj is not None and self.has_operate_permission(request)
        context = {"operations": self.operations(obj) if allowed else [], "from_page": FROM_PAGE}
        answer: HttpResponse = super().change_view(  # type: ignore[misc]
            request, object_id, form_url, {**context, **(extra_context or {})}
        )
        return answer

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run the action; whoever pressed the button on a row's page goes back there."""
        answer: HttpResponse | None = super().response_action(request, queryset)
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if (
            FROM_PAGE in request.POST
            and isinstance(answer, HttpResponseRedirect)
            and selected
            and self.selects_rows(request)
        ):
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=selected[:1])
            )
        return answer

    def within(self, request: HttpRequest, queryset: QuerySet[Any], most: int) -> bool:
        """Whether the selection is small enough for one request; tells it if not."""
        if queryset.order_by()[: most + 1].count() <= most:
            return True
        text = _("More than {most} are selected, so nothing was done: narrow the selection with filters.")
        messages.error(request, text.format(most=most))
        return False

    def done(self, request: HttpRequest, rows: Sequence[Model], log: str) -> None:
        """Write what was done to each of these rows into the admin's log."""
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, log)  # type: ignore[arg-type]


def tell(request: HttpRequest, number: int, text: Any, level: int = messages.SUCCESS) -> None:
    """Say what became of that many rows, if any.

    Args:
        request: of who asked for it.
        number: how many.
        text: a lazy `ngettext` with one `%d`.
        level: one of `django.contrib.messages`.
    """
    if number:
        messages.add_message(request, level, text % number)
