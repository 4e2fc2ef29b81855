"""Phrases that several explanations share."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from pipeline.models import Badge, BadgeHistory, Fulfillment, GateReason, Requirement
from pipeline.reports.cases import Case


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


def _group(case: Case, group: list[Requirement]) -> str:
    names = ", ".join(_requirement(row, case.decided.get(row.pk)) for row in group)
    letter = group[0].group
    if not letter:
        return _("requirement {name} is missing").format(name=names)
    if len(group) == 1:
        return _("group {letter} is missing: {name}").format(letter=letter, name=names)
    return _("group {letter} is missing: one of {names}").format(letter=letter, names=names)


def _requirement(requirement: Requirement, decided: Fulfillment | None) -> str:
    if decided is None:
        return f'"{requirement.slug}"'
    return _('"{name}" (taken back {time} by penalty "{penalty}", matched by event {event})').format(
        name=requirement.slug, time=moment(decided.time), penalty=decided.matched["penalty"], event=decided.event
    )
