"""Taking over learners and what they fulfilled.

A fulfillment of the peer has neither time nor event, and here the newest event decides.  So it counts as of the last
change of the learner's badge of that template: what happened before, the peer has counted.  Without a badge it counts
as of `EPOCH`, which is older than any event.  See docs/decisions/0018-a-time-for-what-has-none.md.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from django.utils import timezone

from pipeline.ledgers.learners import LONGEST_USERNAME
from pipeline.models import Fulfillment, Learner, Progress, Requirement
from pipeline.switching.cases import FULFILLMENT, Case
from pipeline.switching.people import Person
from pipeline.switching.report import Report, Section, Written
from pipeline.switching.templates import Configuration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NO_EVENT = uuid5(NAMESPACE_URL, "https://github.com/openedx/credentials")
"""Stands where an event is named that decided something: the peer did, and tells no event."""

Fulfilled = dict[tuple[int, int], set[int]]
"""The ids of the requirements that are fulfilled, by LMS user id and our template's id."""


def learners(cases: Sequence[Case], report: Report) -> dict[int, Learner]:
    """The learners of these cases by LMS user id, locked; those that are missing are written.  May be repeated."""
    people = {case.person.lms_user_id: case.person for case in reversed(cases)}
    known = Learner.objects.filter(lms_user_id__in=people).order_by("pk")
    there = {row.lms_user_id for row in known}
    missing = [_learner(person) for number, person in people.items() if number not in there]
    Learner.objects.bulk_create(missing)
    report.written[Written.LEARNERS] += len(missing)
    return {row.lms_user_id: row for row in known.all().select_for_update()}


def _learner(person: Person) -> Learner:
    user = person.user
    return Learner(
        lms_user_id=person.lms_user_id,
        username=person.username[:LONGEST_USERNAME],
        email=user.email if user else "",
        name=user.name if user else "",
        active=user.is_active if user else True,
        # The peer never updates what it once wrote of a user.
        as_of=min(user.date_joined, timezone.now()) if user else EPOCH,
        as_of_event=NO_EVENT,
    )


def take_over(
    cases: Sequence[Case], learners: Mapping[int, Learner], configuration: Configuration, report: Report
) -> Fulfilled:
    """Write the progress and the fulfillments that are missing, and tell what is fulfilled then.  May be repeated.

    What is decided here stays: an event decided it.
    """
    rows = _progress(cases, learners, configuration, report)
    decided = {
        (row.progress_id, row.requirement_id): row
        for row in Fulfillment.objects.filter(progress__in=list(rows.values())).defer("matched")
    }
    written = []
    for case in cases:
        for requirement, pk in case.fulfilled.items():
            progress, own = rows[key_of(case, configuration)], configuration.requirements[requirement]
            known = decided.get((progress.pk, own.pk))
            if known is None:
                decided[progress.pk, own.pk] = fulfillment = _fulfillment(case, progress, own)
                written.append(fulfillment)
            elif not known.fulfilled:
                report.say(Section.DIFFERS, FULFILLMENT, pk, "Fulfilled at the peer; a newer event took it back here.")
    Fulfillment.objects.bulk_create(written)
    report.written[Written.FULFILLMENTS] += len(written)
    names = {row.pk: name for name, row in rows.items()}
    fulfilled: Fulfilled = {}
    for (progress_id, requirement_id), row in decided.items():
        if row.fulfilled:
            fulfilled.setdefault(names[progress_id], set()).add(requirement_id)
    return fulfilled


def key_of(case: Case, configuration: Configuration) -> tuple[int, int]:
    """LMS user id and our template's id."""
    return case.person.lms_user_id, configuration.templates[case.template].pk


def _progress(
    cases: Sequence[Case], learners: Mapping[int, Learner], configuration: Configuration, report: Report
) -> dict[tuple[int, int], Progress]:
    """The progress of these cases, as far as the peer has some or we do."""
    wanted = {key_of(case, configuration): case for case in cases}
    known = Progress.objects.filter(
        learner__in=learners.values(), template__in=configuration.templates.values()
    ).select_related("learner")
    there = {(row.learner.lms_user_id, row.template_id) for row in known}
    missing = [
        Progress(learner=learners[number], template_id=template)
        for (number, template), case in wanted.items()
        if case.progress and (number, template) not in there
    ]
    Progress.objects.bulk_create(missing)
    report.written[Written.PROGRESS] += len(missing)
    rows = {(row.learner.lms_user_id, row.template_id): row for row in known.all()}
    return {name: row for name, row in rows.items() if name in wanted}


def _fulfillment(case: Case, progress: Progress, requirement: Requirement) -> Fulfillment:
    rules = [[rule.data_path, rule.operator, rule.value] for rule in requirement.rules.all()]
    return Fulfillment(
        progress=progress,
        requirement=requirement,
        fulfilled=True,
        event=NO_EVENT,
        time=min(case.badge.modified, timezone.now()) if case.badge else EPOCH,
        matched={"requirement": requirement.slug, "rules": rules},
    )
