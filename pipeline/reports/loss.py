"""Why a badge was revoked, what became of it at Credly, and whether it comes back."""

import uuid

from django.utils.translation import gettext as _

from pipeline.ledgers import outbox
from pipeline.ledgers.badges import BY_A_PERSON, REVOCATION_BEGUN
from pipeline.models import Badge, BadgeHistory, CredlyState, Fulfillment, RevokedBy
from pipeline.reports.cases import Case
from pipeline.reports.phrases import bare, entry, missing, moment, obstacle, told


def loss(case: Case, badge: Badge) -> str:
    """The whole story of a revoked badge."""
    return " ".join(filter(None, [_cause(case, badge), _withdrawal(case, badge), _return(case, badge)]))


def deciding_event(badge: Badge) -> uuid.UUID | None:
    """The event that revoked it; None if a person did."""
    revoked = entry(badge, "revoked")
    return revoked.event if revoked and badge.revoked_by != RevokedBy.CREDLY else None


def _cause(case: Case, badge: Badge) -> str:
    name = case.name
    revoked = entry(badge, "revoked")
    if revoked is None and badge.revoked_by == RevokedBy.RULES:
        return _("Lost {name}: it was revoked in openedx/credentials, before the switch.").format(name=name)
    if badge.revoked_by == RevokedBy.CREDLY or revoked is None:
        known = told(badge, outbox.REVOKED)
        since = " " + _("(known since {time})").format(time=moment(known)) if known else ""
        return _("Lost {name}: it was taken away at Credly, not by the rules here{since}.").format(
            name=name, since=since
        )
    if badge.revoked_by == RevokedBy.OPERATOR:
        reason = f": {bare(badge.revocation_reason)}" if badge.revocation_reason else ""
        return _("Revoked by operator {actor}: {name} on {time}{reason}.").format(
            actor=revoked.actor, name=name, time=moment(revoked.at), reason=reason
        )
    return _by_the_rules(case, revoked)


def _by_the_rules(case: Case, revoked: BadgeHistory) -> str:
    name, at = case.name, moment(revoked.at)
    penalties = sorted({f'"{row.matched["penalty"]}"' for row in case.decided.values() if _reset_by(row, revoked)})
    if penalties:
        text = _("Lost {name}: revoked {time} by penalty {penalties}, matched by event {event}.")
        return text.format(name=name, time=at, penalties=", ".join(penalties), event=revoked.event)
    return _("Lost {name}: revoked {time} by event {event}.").format(name=name, time=at, event=revoked.event)


def _reset_by(row: Fulfillment, revoked: BadgeHistory) -> bool:
    return "penalty" in row.matched and row.event == revoked.event


def _withdrawal(case: Case, badge: Badge) -> str:
    """What became of it at Credly."""
    match badge.credly_state:
        case CredlyState.NONE:
            return _("Credly never held it.")
        case CredlyState.REVOKED:
            known = told(badge, outbox.REVOKED)
            by_us = badge.revoked_by != RevokedBy.CREDLY
            return _("Credly revoked it {time}.").format(time=moment(known)) if known and by_us else ""
        case CredlyState.FAILED if badge.credly_id is None:
            return _("Credly never held it: {error}.").format(error=bare(badge.error))
        case CredlyState.FAILED:
            text = _("Credly still holds it and did not revoke it: {error}. Retry on the badge's page.")
            return text.format(error=bare(badge.error))
        case _:
            return _("Credly may still show it: {obstacle}.").format(obstacle=obstacle(case, badge))


def _return(case: Case, badge: Badge) -> str:
    """Whether and how the learner gets it back."""
    if badge.revoked_by in BY_A_PERSON:
        return _by_a_person(case)
    again = case.template.reaward or badge.credly_state not in REVOCATION_BEGUN
    if not again:
        return _("This template awards a badge only once.")
    if case.complete:
        return _("All of it is fulfilled again: the next event that meets a rule of it awards it.")
    return _("To hold it again: {missing}.").format(missing=missing(case))


def _by_a_person(case: Case) -> str:
    """How what a person revoked comes back."""
    text = _("No event gives it back; an operator can let the rules decide again")
    if not case.template.active:
        return _("{text} once the template is active.").format(text=text)
    if not case.complete:
        return _("{text} once all of it is fulfilled: {missing}.").format(text=text, missing=missing(case))
    return f"{text}."
