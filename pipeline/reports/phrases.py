"""Phrases that several explanations share."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from pipeline.models import Badge, BadgeHistory, Fulfillment, GateReason, Requirement
from pipeline.reports.amounts import after, length
from pipeline.reports.cases import Case

VALUES_SHOWN = 10
"""Of what counts for a requirement, so many values are named."""


def moment(time: datetime) -> str:
    """A time for people, with its zone: "1 May 2026 12:01:05 UTC"."""
    return date_format(timezone.localtime(time), "DATETIME_FORMAT")


def bare(sentence: str) -> str:
    """A sentence to go into another one, which has its own full stop."""
    return sentence.rstrip(". ")


def entry(badge: Badge, what: str) -> BadgeHistory | None:
    """The newest entry of that kind in the badge's history."""
    return next((row for row in reversed(badge.history.all()) if row.what == what), None)


def told(badge: Badge, event_type: str) -> datetime | None:
    """When Credly confirmed what a signal of this type tells: the signal is written with the record of that."""
    return next((signal.created_at for signal in badge.signals.all() if signal.event_type == event_type), None)


def obstacle(case: Case, badge: Badge) -> str:
    """Why Credly is not yet brought to the badge's standing."""
    organization = case.template.organization
    since = organization.gate_closed_at
    if since and organization.gate_reason == GateReason.KEY_REFUSED:
        return _(
            "Credly refuses the organization's key, or there is none, since {time}; it goes on by itself once a key works"
        ).format(time=moment(since))
    if organization.gate_reason and organization.call_again_at:
        text = _("Credly is not called for the organization ({reason}), next try {time}; it goes on by itself")
        why = GateReason(organization.gate_reason).label
        return text.format(reason=why, time=moment(organization.call_again_at))
    if badge.error and badge.due_at:
        text = _("{error}; next try {time}, tries so far: {attempts}")
        return text.format(error=bare(badge.error), time=moment(badge.due_at), attempts=badge.attempts)
    return bare(badge.error) or _("its turn comes within seconds")


def missing(case: Case) -> str:
    """The groups that hold no fulfilled requirement, in words."""
    return "; ".join(_group(case, group) for group in case.missing)


def tally(case: Case, requirement: Requirement) -> str:
    """How many of the events that a requirement takes have counted: "3 of 5: ..."; empty if it takes one."""
    found = case.tallies.get(requirement.pk)
    if requirement.count == 1 or found is None:
        return ""
    text = _("{reached} of {count}").format(reached=found.reached, count=requirement.count)
    if requirement.within:
        text = _("{reached} within {length}").format(reached=text, length=length(requirement.within))
    values = list(dict.fromkeys(each.value for each in found.matches if each.value is not None))
    if not values:
        return text
    shown = ", ".join(values[:VALUES_SHOWN])
    return (
        f"{text}: {shown}"
        if len(values) <= VALUES_SHOWN
        else _("{text}: {values} and more").format(text=text, values=shown)
    )


def waits(case: Case, requirement: Requirement) -> str:
    """That nothing counts yet, since the requirement that it comes after is not fulfilled; else empty."""
    if requirement.after_id is None or case.is_fulfilled(requirement.after_id):
        return ""
    return _("nothing counts before that: {after}").format(after=after(requirement))


def _group(case: Case, group: list[Requirement]) -> str:
    names = ", ".join(_requirement(case, row) for row in group)
    letter = group[0].group
    if not letter:
        return _("requirement {name} is missing").format(name=names)
    if len(group) == 1:
        return _("group {letter} is missing: {name}").format(letter=letter, name=names)
    return _("group {letter} is missing: one of {names}").format(letter=letter, names=names)


def _requirement(case: Case, requirement: Requirement) -> str:
    decided = case.decided.get(requirement.pk)
    known = [tally(case, requirement), waits(case, requirement), _taken_back(requirement, decided) if decided else ""]
    facts = "; ".join(filter(None, known))
    return f'"{requirement.slug}" ({facts})' if facts else f'"{requirement.slug}"'


def _taken_back(requirement: Requirement, decided: Fulfillment) -> str:
    if "penalty" not in decided.matched:
        text = _("taken back {time} by event {event}")
        return text.format(time=moment(decided.time), event=decided.event)
    text = _('taken back {time} by penalty "{penalty}", matched by event {event}')
    if requirement.count > 1:
        text = _('penalty "{penalty}" last took back from it {time}, matched by event {event}')
    return text.format(time=moment(decided.time), penalty=decided.matched["penalty"], event=decided.event)
