"""Why does, or doesn't, this learner hold this badge?  The answer in a few sentences, from the facts of a case alone."""

import uuid
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.ledgers import outbox
from pipeline.ledgers.observations import HELD
from pipeline.models import Badge, CredlyState, Standing
from pipeline.reports.cases import Case
from pipeline.reports.loss import deciding_event, loss
from pipeline.reports.phrases import bare, entry, missing, moment, obstacle, told


class Verdict(models.TextChoices):
    """The answer in a word."""

    HOLDS = "holds", gettext_lazy("holds")
    WAITING = "waiting", gettext_lazy("waiting")  # awarded; Credly will hold it without anybody's doing
    FAILED = "failed", gettext_lazy("failed")  # Credly refused for good: a person must look
    LOST = "lost", gettext_lazy("lost")
    MISSING = "missing", gettext_lazy("does not hold")


@dataclass(frozen=True)
class Explanation:
    """The answer for one template.

    `event` is the one that the award or the revocation came from; None where there was none.
    """

    verdict: Verdict
    text: str
    event: uuid.UUID | None = None


def explain(case: Case) -> Explanation:
    """Say why the learner holds the template's badge, or why not.  The badge of the last cycle counts."""
    badge = case.badge
    if badge is None:
        return Explanation(Verdict.MISSING, _never_awarded(case))
    if badge.standing == Standing.REVOKED:
        still_there = badge.credly_state == CredlyState.FAILED and badge.credly_id is not None
        return Explanation(Verdict.FAILED if still_there else Verdict.LOST, loss(case, badge), deciding_event(badge))
    awarded = entry(badge, "awarded")
    verdict, text = _awarded(case, badge)
    return Explanation(verdict, text, awarded.event if awarded else None)


def _never_awarded(case: Case) -> str:
    name = case.name
    if not case.requirements:
        text = _("Does not hold {name}: the template has no requirements.").format(name=name)
    elif case.complete:
        text = _("Does not hold {name}: all of it is fulfilled, but only since the template was changed.")
        text = text.format(name=name)
        awarding = _("The next event that meets a rule of it awards the badge; so does a backfill, if one is kept.")
        text = f"{text} {awarding}" if case.template.active else text
    else:
        text = _("Does not hold {name}: {missing}.").format(name=name, missing=missing(case))
    return text if case.template.active else f"{text} {_('The template is not active, so no event counts now.')}"


def _awarded(case: Case, badge: Badge) -> tuple[Verdict, str]:
    name, award = case.name, _award(badge)
    if badge.credly_state in HELD:
        facts = ", ".join([award, *_at_credly(badge)])
        return Verdict.HOLDS, _("Holds {name}: {facts}.").format(name=name, facts=facts)
    if badge.credly_state == CredlyState.FAILED:
        text = _("Failed: {name} was {award}, but not issued. {error}. Retry on the badge's page.")
        return Verdict.FAILED, text.format(name=name, award=award, error=bare(badge.error))
    text = _("Waiting: {name} was {award}, but Credly does not hold it yet: {obstacle}.")
    return Verdict.WAITING, text.format(name=name, award=award, obstacle=obstacle(case, badge))


def _award(badge: Badge) -> str:
    awarded = entry(badge, "awarded")
    if awarded is None:
        return _("awarded {time}").format(time=moment(badge.created_at))
    if awarded.event is None:
        return _("awarded {time}").format(time=moment(awarded.at))
    return _("awarded {time} by event {event}").format(time=moment(awarded.at), event=awarded.event)


def _at_credly(badge: Badge) -> list[str]:
    facts = []
    if issued := told(badge, outbox.AWARDED):
        facts.append(_("issued at Credly {time}").format(time=moment(issued)))
    if badge.credly_state == CredlyState.PENDING:
        return [*facts, _("not accepted by the learner yet")]
    text = _("accepted {time}") if badge.credly_state == CredlyState.ACCEPTED else _("declined by the learner {time}")
    return [*facts, text.format(time=_first_heard(badge)).strip()]


def _first_heard(badge: Badge) -> str:
    """When we first heard that Credly holds the badge in its state of now."""
    heard = (row.at for row in badge.history.all() if f"{badge.credly_state} at Credly" in row.outcome)
    return next(map(moment, heard), "")
