"""Taking over what learners fulfilled.

A fulfillment of the peer has neither time nor event, and here the newest event decides.  So it counts as of the last
change of the learner's badge of that template: what happened before, the peer has counted.  Without a badge it counts
as of `EPOCH`, which is older than any event.  See docs/decisions/0018-a-time-for-what-has-none.md.

Rows that bear `NO_EVENT` are the peer's word, and no event has decided since: a later take-over may write over them.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from pipeline.ledgers import bulk
from pipeline.models import Fulfillment, Learner, Progress, Requirement
from pipeline.switching.cases import EPOCH, FULFILLMENT, NO_EVENT, Case, Cases
from pipeline.switching.people import chunks
from pipeline.switching.report import Report, Section, Written
from pipeline.switching.templates import Configuration

OUR_LEARNER = "learner"
"""The label of a learner of ours in the report, with the key that the learner's page has in its address."""


@dataclass(slots=True)
class Decided:
    """What is decided here of a learner and a template: which requirements (ids) are fulfilled, and if events said so."""

    fulfilled: set[int] = field(default_factory=set)
    by_events: bool = False


Decisions = defaultdict[tuple[int, int], Decided]
"""By LMS user id and our template's id."""

Key = tuple[int, int]
"""The ids of a progress and a requirement, which name a fulfillment."""


def take_over(
    cases: Sequence[Case], learners: Mapping[int, Learner], configuration: Configuration, report: Report
) -> Decisions:
    """Bring progress and fulfillments to what the peer says, and tell what is decided then.  May be repeated.

    What an event decided here stays, and is reported where it differs.

    1. Write what is missing.
    2. Bring the times of what an earlier run wrote up to date, and take back what the peer has reset since.
    """
    rows = _progress(cases, learners, configuration, report)
    known = {(row.progress_id, row.requirement_id): row for row in _stored().filter(progress__in=list(rows.values()))}
    at_peer = {
        (rows[key_of(case, configuration)].pk, configuration.requirements[requirement].pk): (case, requirement)
        for case in cases
        for requirement in case.fulfilled
    }
    missing = {
        key: _fulfillment(case, key[0], configuration.requirements[requirement])
        for key, (case, requirement) in at_peer.items()
        if key not in known
    }
    later = [row for key, row in known.items() if key in at_peer and _moves(row, at_peer[key][0])]
    gone = {key: row for key, row in known.items() if key not in at_peer and row.event == NO_EVENT}
    _compare(known, at_peer, report)
    Fulfillment.objects.bulk_create(missing.values())
    report.written[Written.FULFILLMENTS] += len(missing)
    Fulfillment.objects.bulk_update(later, ["time"], batch_size=bulk.UPDATED_AT_ONCE)
    report.written[Written.RENEWED_FULFILLMENTS] += len(later)
    _take_back(list(gone.values()), report)
    there = {key: row for key, row in (known | missing).items() if key not in gone}
    return _decisions({row.pk: name for name, row in rows.items()}, there)


def take_back_rest(cases: Cases, strangers: Collection[str], configuration: Configuration, report: Report) -> None:
    """Take back what an earlier run wrote of learners and templates of which the peer has nothing now.  May be repeated.

    Args:
        cases: all that the peer has.
        strangers: usernames of those who are left out: what is here of them stays.
        configuration: the templates.
        report: gets an entry for each that an event has decided since.
    """
    own = {template.pk: pk for pk, template in configuration.templates.items()}
    gone = []
    for row in _stored().filter(progress__template__in=own, fulfilled=True).iterator(chunk_size=1000):
        learner = row.progress.learner
        if (learner.lms_user_id, own[row.progress.template_id]) in cases or learner.username in strangers:
            continue
        if row.event == NO_EVENT:
            gone.append(row)
        else:
            _say_only_here(row, report)
    _take_back(gone, report)


def key_of(case: Case, configuration: Configuration) -> tuple[int, int]:
    """LMS user id and our template's id."""
    return case.person.lms_user_id, configuration.templates[case.template].pk


def _stored() -> QuerySet[Fulfillment]:
    return Fulfillment.objects.select_related("progress__learner", "requirement__template").defer("matched")


def _decisions(names: Mapping[int, tuple[int, int]], rows: Mapping[Key, Fulfillment]) -> Decisions:
    decisions: Decisions = defaultdict(Decided)
    for (progress, requirement), row in rows.items():
        decided = decisions[names[progress]]
        decided.by_events |= row.event != NO_EVENT
        if row.fulfilled:
            decided.fulfilled.add(requirement)
    return decisions


def _compare(known: Mapping[Key, Fulfillment], at_peer: Mapping[Key, tuple[Case, int]], report: Report) -> None:
    """Say what events decided here otherwise than the peer."""
    for key, row in known.items():
        if key not in at_peer and row.fulfilled and row.event != NO_EVENT:
            _say_only_here(row, report)
        if key in at_peer and not row.fulfilled:
            case, requirement = at_peer[key]
            reason = "Fulfilled at the peer; a newer event took it back here."
            report.say(Section.DIFFERS, FULFILLMENT, case.fulfilled[requirement], reason)


def _say_only_here(row: Fulfillment, report: Report) -> None:
    reason = f"An event fulfilled {row.requirement.slug} here; at the peer it is not fulfilled."
    report.say(Section.DIFFERS, OUR_LEARNER, row.progress.learner_id, reason, name=row.requirement.template.name)


def _take_back(rows: Sequence[Fulfillment], report: Report) -> None:
    """Delete what no event has decided meanwhile; an event decides under its learner's lock."""
    for chunk in chunks(rows):
        learners = Learner.objects.filter(pk__in={row.progress.learner_id for row in chunk})
        list(learners.order_by("lms_user_id").select_for_update())
        deleted, _ = Fulfillment.objects.filter(pk__in=[row.pk for row in chunk], event=NO_EVENT).delete()
        report.written[Written.TAKEN_BACK] += deleted


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


def _fulfillment(case: Case, progress: int, requirement: Requirement) -> Fulfillment:
    rules = [[rule.data_path, rule.operator, rule.value] for rule in requirement.rules.all()]
    return Fulfillment(
        progress_id=progress,
        requirement=requirement,
        fulfilled=True,
        event=NO_EVENT,
        time=_as_of(case),
        matched={"requirement": requirement.slug, "rules": rules},
    )


def _as_of(case: Case) -> datetime:
    return min(case.badge.modified, timezone.now()) if case.badge else EPOCH


def _moves(row: Fulfillment, case: Case) -> bool:
    """Set the time anew if the peer has changed the badge since, and say whether it has.  Never back, nor on by the clock."""
    if row.event != NO_EVENT or case.badge is None or not row.time < case.badge.modified < timezone.now():
        return False
    row.time = case.badge.modified
    return True
