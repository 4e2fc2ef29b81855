"""The stored events that the page "Try it" offers."""

from collections.abc import Collection

from django.db.models import QuerySet

from pipeline.admin.search import learners, number_of, uuid_of
from pipeline.models import Event

MOST = 20
"""So many are offered."""


def newest(event_types: Collection[str]) -> list[Event]:
    """The newest stored events of these types."""
    return list(_readable().filter(type__in=event_types).order_by("-received_at")[:MOST])


def found(term: str, event_types: Collection[str]) -> list[Event]:
    """The event with this id; or the newest of these types about the learner with this LMS id, username or e-mail."""
    event = uuid_of(term)
    if event:
        return list(_readable().filter(pk=event))
    ids = set(learners(term).values_list("lms_user_id", flat=True)[:MOST])
    number = number_of(term)
    # Also of a learner whose events met no rule yet.
    about = ids if number is None else ids | {number}
    return list(_readable().filter(type__in=event_types, lms_user_id__in=about).order_by("-time")[:MOST])


def _readable() -> QuerySet[Event]:
    return Event.objects.filter(raw=None).defer("payload", "raw")
