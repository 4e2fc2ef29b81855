"""Find a learner by what people know of them; who is not found may still be in stored events."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pipeline.bus import catalogue
from pipeline.models import Event, EventStatus, Learner


class UnknownLearner(LookupError):
    """No event about that learner ever met a requirement or penalty.  The message says what is stored all the same."""


def by_username(username: str) -> Learner:
    """The learner of that name.

    Usernames of an LMS are unique, but one may pass to another person: then the one of the newest event is meant.

    Raises:
        UnknownLearner: there is none.
    """
    return _newest(Learner.objects.filter(username=username)) or _unknown(
        _("No learner {username!r}.").format(username=username), _named("username", username)
    )


def by_email(email: str) -> Learner:
    """The learner of that e-mail, in whatever case; of several the one of the newest event.

    Raises:
        UnknownLearner: there is none; the message does not repeat the address.
    """
    return _newest(Learner.objects.filter(email__iexact=email)) or _unknown(
        _("No learner of this e-mail."), _named("email__iexact", email)
    )


def by_lms_user_id(lms_user_id: int) -> Learner:
    """The learner of that id in the LMS.

    Raises:
        UnknownLearner: there is none.
    """
    return _newest(Learner.objects.filter(lms_user_id=lms_user_id)) or _unknown(
        _("No learner with LMS user id {id}.").format(id=lms_user_id), Q(lms_user_id=lms_user_id)
    )


def _newest(learners: QuerySet[Learner]) -> Learner | None:
    return learners.order_by("-as_of").first()


def _unknown(who: str, about_them: Q) -> Learner:
    counted: dict[str, int] = dict(
        Event.objects.filter(about_them).values_list("status").annotate(Count("pk")).order_by("status")
    )
    raise UnknownLearner(f"{who} {_stored(counted)}")


def _stored(counted: dict[str, int]) -> str:
    if not counted:
        return _("No event about them has met a requirement or penalty of an active template yet, and none is stored.")
    number = sum(counted.values())
    statuses = ", ".join(f"{count} {EventStatus(status).label}" for status, count in counted.items())
    return ngettext(
        "{number} stored event is about them ({statuses}), but it has met no requirement or penalty of an active template.",
        "{number} stored events are about them ({statuses}), but none has met a requirement or penalty of an active "
        "template.",
        number,
    ).format(number=number, statuses=statuses)


def _named(field: str, value: Any) -> Q:
    """Events whose learner has this value there.  No index helps: it reads the whole inbox."""
    condition = Q()
    for path in {event_type.user_path for event_type in catalogue.event_types().values()}:
        keys = [*path.split("."), "pii", field] if path else ["pii", field]
        condition |= Q(**{"__".join(["payload", *keys]): value})
    return condition
