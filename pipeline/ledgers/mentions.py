"""Mentions: the stored events that name a person, as the learner or as somebody else, found by the database."""

from collections.abc import Collection
from functools import cache

from django.db.models import Q, QuerySet

from pipeline.bus import catalogue
from pipeline.ledgers.pseudonyms import people
from pipeline.models import Event, Learner

USERNAME = ".pii.username"


class NothingHeld(LookupError):
    """Nothing is held about such a person.  The message is for people."""


def by_id(lms_user_id: int) -> int:
    """The LMS user id itself, if anything is held about that person.

    Raises:
        NothingHeld: neither a learner nor a stored event is theirs.
    """
    if not Learner.objects.filter(lms_user_id=lms_user_id).exists() and not naming(lms_user_id).exists():
        raise NothingHeld(f"Nothing is held about a learner with the LMS user id {lms_user_id}.")
    return lms_user_id


def by_username(username: str) -> int:
    """The LMS user id of a person.  A username may pass to another one: then the one of the newest event is meant.

    Raises:
        NothingHeld: neither a learner nor a stored event is theirs.
    """
    found = _newest("username", username)
    if found is None:
        raise NothingHeld(f"Nothing is held about a learner with the username {username!r}.")
    return found


def by_email(email: str) -> int:
    """The LMS user id of a person by e-mail, in whatever case.  Of several the one of the newest event is meant.

    Raises:
        NothingHeld: neither a learner nor a stored event is theirs; the message does not repeat the address.
    """
    found = _newest("email__iexact", email)
    if found is None:
        raise NothingHeld("Nothing is held about a learner of this e-mail.")
    return found


def naming(lms_user_id: int) -> QuerySet[Event]:
    """The events with a `UserData` of this person, as the learner or in another part.  Reads the whole inbox."""
    found = Q(lms_user_id=lms_user_id)
    for event_type, path in _people():
        of_theirs = Q(**{_lookup(path, "id"): lms_user_id}, type=event_type.name)
        if path == event_type.user_path:
            # The column tells it, unless the event was refused because the UserData is malformed.
            of_theirs &= Q(lms_user_id=None)
        found |= of_theirs
    return Event.objects.filter(found)


def with_address(emails: Collection[str]) -> QuerySet[Event]:
    """The events that have one of these e-mail addresses outside a `UserData`: of a course's coach, say."""
    found = Q(pk__in=[])
    for event_type in catalogue.event_types().values():
        for path in event_type.key_paths:
            if path.endswith("email") and not path.endswith("pii.email"):
                found |= Q(**{f"{_lookup(path)}__in": list(emails)}, type=event_type.name)
    return Event.objects.filter(found)


def _newest(lookup: str, value: str) -> int | None:
    """The LMS user id of the learner found by this lookup, else of whom an event names; the newest event's."""
    learner = Learner.objects.filter(**{lookup: value}).order_by("-as_of").first()
    if learner is not None:
        return learner.lms_user_id
    called_so = Q(pk__in=[])
    for event_type, path in _people():
        called_so |= Q(**{_lookup(path, "pii", lookup): value}, type=event_type.name)
    newest = Event.objects.filter(called_so).order_by("-time").first()
    field, _, in_any_case = lookup.partition("__")
    for user in people(newest.payload) if newest else ():
        named = str(user["pii"].get(field))
        if named == value or (in_any_case and named.lower() == value.lower()):
            found: int = user["id"]
            return found
    return None


@cache
def _people() -> tuple[tuple[catalogue.EventType, str], ...]:
    """Where in which events people are named: the event type and the path of a `UserData` ("" is the payload itself)."""
    return tuple(
        (event_type, f".{path}".removesuffix(USERNAME).lstrip("."))
        for event_type in catalogue.event_types().values()
        for path in event_type.key_paths
        if f".{path}".endswith(USERNAME)
    )


def _lookup(path: str, *steps: str) -> str:
    return "__".join(("payload", *filter(None, path.split(".")), *steps))
