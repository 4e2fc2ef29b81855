"""What the peer knows, put together by learner and template: progress that is there twice is one, badges are whole."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from pipeline.switching.comparison import TEMPLATE
from pipeline.switching.peer import AWARDED, UNKNOWN, Peer
from pipeline.switching.people import People, Person, Stranger
from pipeline.switching.report import Report, Section
from pipeline.switching.templates import Configuration

PROGRESS, FULFILLMENT, BADGE = "badges.badgeprogress", "badges.fulfillment", "badges.credlybadge"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of what the peer gives none: older than any event."""

NO_EVENT = uuid5(NAMESPACE_URL, "https://github.com/openedx/credentials")
"""Stands where an event is named that decided something: the peer did, and tells no event."""

UNPROTECTED = "Else, when the learner earns it here, only Credly's own refusal of duplicates prevents a second badge."


@dataclass(frozen=True, slots=True)
class Badge:
    """Both halves of a badge at the peer."""

    pk: int
    status: str
    uuid: UUID
    created: datetime
    modified: datetime
    state: str
    credly_id: UUID | None

    @property
    def names(self) -> tuple[UUID, ...]:
        """What it is known by: here and on the event bus, and at Credly."""
        return (self.uuid, self.credly_id) if self.credly_id else (self.uuid,)

    @property
    def rank(self) -> tuple[bool, bool, datetime]:
        """The greater, the more it is the one that the learner holds."""
        return (
            self.status == AWARDED and self.credly_id is not None,
            self.credly_id is not None,
            self.modified,
        )


@dataclass(slots=True)
class Case:
    """A learner and a template (the peer's key).

    `progress` are the peer's rows, `fulfilled` those fulfillments that count, by requirement: all the peer's keys.
    """

    person: Person
    template: int
    progress: list[int] = field(default_factory=list)
    fulfilled: dict[int, int] = field(default_factory=dict)
    badge: Badge | None = None


Cases = dict[tuple[int, int], Case]
"""By LMS user id and the peer's key of the template."""


def put_together(source: Peer, people: People, configuration: Configuration, report: Report) -> Cases:
    """All that can be taken over; the rest is said to the report, row by row."""
    cases: Cases = {}
    by_progress = _progress(source, people, configuration, cases, report)
    _fulfillments(source, configuration, by_progress, report)
    _badges(source, people, configuration, cases, report)
    return cases


def _case(cases: Cases, person: Person, template: int) -> Case:
    return cases.setdefault((person.lms_user_id, template), Case(person, template))


def _progress(
    source: Peer, people: People, configuration: Configuration, cases: Cases, report: Report
) -> dict[int, Case]:
    found = {}
    for pk, row in sorted(source.progress.items()):
        if row.template is None:
            report.say(Section.LEFT_OUT, PROGRESS, pk, "Its template was deleted at the peer.")
        elif row.template not in configuration.templates:
            report.say(Section.LEFT_OUT, PROGRESS, pk, _of_left_out(row.template))
        elif isinstance(person := people.find(row.username), Stranger):
            report.say(Section.LEFT_OUT, PROGRESS, pk, person.reason, person.advice)
        else:
            case = found[pk] = _case(cases, person, row.template)
            if case.progress:
                reason = f"It is of the same learner and template as {PROGRESS} {case.progress[0]}: the two are merged."
                report.say(Section.NOTED, PROGRESS, pk, reason)
            case.progress.append(pk)
    return found


def _of_left_out(template: int) -> str:
    return f"It belongs to {TEMPLATE} {template}, which is not taken over."


def _fulfillments(source: Peer, configuration: Configuration, by_progress: dict[int, Case], report: Report) -> None:
    for pk, row in sorted(source.fulfillments.items()):
        case = by_progress.get(row.progress)
        requirement = source.requirements.get(row.requirement or 0)
        if case is None:
            reason = f"It belongs to {PROGRESS} {row.progress}, which is not taken over."
        elif requirement is None:
            reason = "Its requirement was deleted at the peer."
        elif requirement.template != case.template:
            reason = f"It is of another template than its requirement, badges.badgerequirement {requirement.pk}."
        elif requirement.pk not in configuration.requirements:
            reason = f"Its requirement, badges.badgerequirement {requirement.pk}, is not here."
        else:
            case.fulfilled.setdefault(requirement.pk, pk)
            continue
        report.say(Section.LEFT_OUT, FULFILLMENT, pk, reason)


def _badges(source: Peer, people: People, configuration: Configuration, cases: Cases, report: Report) -> None:
    at_credly: dict[UUID, int] = {}
    for badge, template, username in sorted(_whole(source), key=lambda each: (each[0].rank, -each[0].pk), reverse=True):
        known = at_credly.get(badge.credly_id) if badge.credly_id else None
        if template not in configuration.templates:
            report.say(Section.LEFT_OUT, BADGE, badge.pk, _of_left_out(template))
        elif isinstance(person := people.find(username), Stranger):
            report.say(Section.LEFT_OUT, BADGE, badge.pk, person.reason, f"{person.advice} {UNPROTECTED}")
        elif badge.status == UNKNOWN:
            report.say(Section.LEFT_OUT, BADGE, badge.pk, "It is neither awarded nor revoked at the peer.", UNPROTECTED)
        elif known is not None:
            report.say(Section.LEFT_OUT, BADGE, badge.pk, f"At Credly it is the same as {BADGE} {known}.")
        elif (case := _case(cases, person, template)).badge is not None:
            reason = f"Its learner has another of the same template, {BADGE} {case.badge.pk}, which is taken over."
            report.say(Section.LEFT_OUT, BADGE, badge.pk, reason, "If both are live at Credly, revoke one there.")
        else:
            case.badge = badge
            if badge.credly_id:
                at_credly[badge.credly_id] = badge.pk


def _whole(source: Peer) -> list[tuple[Badge, int, str]]:
    """Each badge, with the peer's key of its template and the username."""
    found = []
    for pk, row in source.credly_badges.items():
        held = source.credentials[pk]
        badge = Badge(pk, held.status, held.uuid, held.created, held.modified, row.state, row.external_uuid)
        found.append((badge, held.template, held.username))
    return found
