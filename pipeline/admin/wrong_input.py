"""Addresses and selections that no page of ours offers: the lists answer them as Django answers a wrong lookup."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext as _


class ToleratesWrongInput:
    """A list that never fails, whatever the address or the form says.  For admin classes.

    Django itself answers a wrong lookup with the list without filters (`?e=1`); values that only a database refuses, or that
    can't be the key of a row, get past it.
    """

    opts: Any

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list.

        Raises:
            IncorrectLookupParameters: a value can't be looked for.  Django then shows the list without filters.
        """
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            raise IncorrectLookupParameters("PostgreSQL knows no text with a NUL")
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc]
        except (ValueError, OverflowError, ValidationError, DataError) as error:
            raise IncorrectLookupParameters from error

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Run an action, if what is selected can be rows."""
        if not self.selects_rows(request):
            messages.error(request, _("What was selected is no row of this list, so nothing was done."))
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset)  # type: ignore[misc]

    def selects_rows(self, request: HttpRequest) -> bool:
        """Whether all that a form selects can be keys of rows."""
        try:
            for selected in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.clean(selected, None)
        except ValidationError:
            return False
        return True
