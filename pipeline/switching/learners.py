"""Taking over learners: the accounts of the peer that have progress or a badge."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from pipeline.ledgers import bulk
from pipeline.ledgers.learners import FROM_EVENTS, LONGEST_USERNAME, PERSONAL
from pipeline.models import Learner
from pipeline.switching.cases import EPOCH, NO_EVENT, Case
from pipeline.switching.people import Person
from pipeline.switching.report import Report, Written

COMPARED = (*PERSONAL, "active")


def take_over(cases: Sequence[Case], report: Report) -> dict[int, Learner]:
    """The learners of these cases by LMS user id, locked.  May be repeated.

    1. Write those that are missing.
    2. Bring those up to date that an earlier run wrote and no event has told of since.
    """
    people = {case.person.lms_user_id: case.person for case in cases}
    known = Learner.objects.filter(lms_user_id__in=people).order_by("lms_user_id")
    there = set(known.values_list("lms_user_id", flat=True))
    missing = [Learner(lms_user_id=number, **_described(people[number])) for number in sorted(people.keys() - there)]
    Learner.objects.bulk_create(missing)
    report.written[Written.LEARNERS] += len(missing)
    rows = {row.lms_user_id: row for row in known.all().select_for_update()}
    _renew(rows, people, report)
    return rows


def _described(person: Person) -> dict[str, Any]:
    user = person.user
    return {
        "username": person.username[:LONGEST_USERNAME],
        "email": user.email if user else "",
        "name": user.name if user else "",
        "active": user.is_active if user else True,
        # What the peer once wrote of a user it never updates by itself.
        "as_of": min(user.date_joined, timezone.now()) if user else EPOCH,
        "as_of_event": NO_EVENT,
    }


def _renew(rows: Mapping[int, Learner], people: Mapping[int, Person], report: Report) -> None:
    renewed = []
    for number, row in rows.items():
        described = _described(people[number])
        if _may_renew(row, people[number]) and any(getattr(row, name) != described[name] for name in COMPARED):
            for name, value in described.items():
                setattr(row, name, value)
            renewed.append(row)
    Learner.objects.bulk_update(renewed, FROM_EVENTS, batch_size=bulk.UPDATED_AT_ONCE)
    report.written[Written.RENEWED_LEARNERS] += len(renewed)


def _may_renew(row: Learner, person: Person) -> bool:
    return row.as_of_event == NO_EVENT and row.retired_at is None and person.user is not None
