"""Filters of the lists."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from pipeline.bus import catalogue
from pipeline.models import Template
from pipeline.reports.reach import with_holders, with_learners_on_the_way

OTHER = "other"


class TimeRange(RangeDateTimeFilter):
    """From one time to another; a date without a time is the whole day.  Times are in UTC."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of that time; what is no time is told and left out."""
        bounds = {
            f"{self.parameter_name}__gte": self._bound(request, "from", "00:00:00"),
            f"{self.parameter_name}__lte": self._bound(request, "to", "23:59:59.999999"),
        }
        return queryset.filter(**{lookup: time for lookup, time in bounds.items() if time})

    def _bound(self, request: HttpRequest, side: str, default: str) -> datetime | None:
        day = self.used_parameters.get(f"{self.parameter_name}_{side}_0")
        if not day:
            return None
        clock = self.used_parameters.get(f"{self.parameter_name}_{side}_1") or default
        text = f"{day} {clock}"
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        except ValueError:
            problem = _("“{text}” is no time such as 2026-05-01 12:00:00, so it is left out of the filter.")
            messages.warning(request, problem.format(text=text))
            return None


class EventType(DropdownFilter):
    """The type of an event, of those that openedx-events knows: reading them from the ledger would read all of it."""

    title = gettext_lazy("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The configured types first, then those that may also come."""
        configured = list(catalogue.badge_event_types())
        others = [name for name in catalogue.event_types() if name not in configured]
        return [*((name, short(name)) for name in [*configured, *others]), (OTHER, _("any other type"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The events of that type."""
        match self.value():
            case None | "":
                return queryset
            case str(value) if value == OTHER:
                return queryset.exclude(type__in=_known())
            case value:
                return queryset.filter(type=value)


class Learners(admin.SimpleListFilter):
    """Templates by whether there are learners whom they concern."""

    title = gettext_lazy("learners")
    parameter_name = "learners"

    ON_THE_WAY = "on-the-way"
    HOLDING = "holding"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What learners there may be."""
        return [(self.ON_THE_WAY, _("on the way")), (self.HOLDING, _("holding"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Template]) -> QuerySet[Template]:
        """The templates with such learners."""
        return self.having(queryset, self.value() or "")

    @classmethod
    def having(cls, templates: QuerySet[Any], learners: str) -> QuerySet[Any]:
        """Those of the templates that have learners of this kind; all of them for a kind that there is not."""
        if learners == cls.ON_THE_WAY:
            return with_learners_on_the_way(templates)
        return with_holders(templates) if learners == cls.HOLDING else templates


def short(event_type: str) -> str:
    """The part of a type's name that differs from the others'."""
    return event_type.removeprefix("org.openedx.learning.").removesuffix(".v1")


def _known() -> Iterable[str]:
    return list(catalogue.event_types())
