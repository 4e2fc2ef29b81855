"""Searching by what operators have at hand: an id, or a learner's username, e-mail or LMS id."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest

from pipeline.models import Learner


def uuid_of(term: str) -> UUID | None:
    """The UUID that the term is, in any of its written forms."""
    try:
        return UUID(term)
    except ValueError:
        return None


class FoundByUuid:
    """Rows with a `uuid`, found by all of it in any of its written forms; otherwise as Django searches.  For admin classes."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows found.  A database compares only its own written form, on PostgreSQL that with dashes."""
        uuid = uuid_of(search_term.strip())
        if uuid:
            return queryset.filter(uuid=uuid), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]
        return found


def number_of(term: str) -> int | None:
    """The LMS id that the term may be."""
    return int(term) if term.isascii() and term.isdecimal() and len(term) < 19 else None


def learners(term: str) -> QuerySet[Learner]:
    """The learners of that LMS id, e-mail or username; case does not matter."""
    number = number_of(term)
    if number is not None:
        return Learner.objects.filter(lms_user_id=number) | Learner.objects.filter(username=term)
    return Learner.objects.filter(**{"email__iexact" if "@" in term else "username__iexact": term})
