"""backfill: run the kept events through a template once more, some learners at a time."""

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from pipeline import rules
from pipeline.configuration import ruleset
from pipeline.configuration.fingerprint import fingerprint
from pipeline.ledgers import backfills, inbox, kept
from pipeline.ledgers.backfills import Rules, Turn
from pipeline.ledgers.kept import Met
from pipeline.models import Backfill, Badge, Event, EventStatus, Standing, Template
from pipeline.nudges import PERSIST_AT_ONCE
from pipeline.stages.evaluate import evaluate
from pipeline.stages.persist import persist

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""Events of one turn, looked at and run: so many are what a live event finds before it at the most."""

TOGETHER = PERSIST_AT_ONCE
"""Events of one transaction, as of any other; more, if they are one learner's."""

MOST_OF_ONE_LEARNER = 100
"""With thousands of matches an event takes tens of milliseconds, and nobody else writes in SQLite meanwhile."""

EVENTS_FIRST = 500
"""While more events than these wait in the inbox, a backfill lets them go first: one read of a consumer."""

BADGES_FIRST = 1000
"""While more badges of the organization than these wait for Credly, a backfill adds none: ten seconds at the default pace."""


class CantRun(Exception):
    """The template takes no part in anything.  The message says why, for the operator."""


class Taken(NamedTuple):
    """What a turn leaves to do: badges that changed, and the turn after it, if there is one to take now."""

    badges: list[int]
    then: Turn | None


NOTHING = Taken([], None)


def compiled(template: Template) -> rules.Template:
    """A template as the rules see it; one that is not active as if it were.

    Raises:
        CantRun: it is broken, or has no requirement.
    """
    try:
        found = ruleset.compiled(template)
    except ValueError as error:
        reason = _("The template takes no part in anything, since it is broken: %(error)s.")
        raise CantRun(reason % {"error": error}) from error
    if not found.requirements:
        raise CantRun(_("The template has no requirement, so no event means anything to it."))
    return found


def rules_of(template: Template) -> tuple[rules.Template, Rules]:
    """An active template as the rules see it, and what tells these rules from others.

    Raises:
        CantRun: it takes no part in anything.
    """
    configuration = ruleset.current()
    found = configuration.ruleset.template(template.pk)
    if found is None:
        compiled(template)
        raise CantRun(_("The template is not active: activate it first, for events can't change anything before."))
    return found, Rules(fingerprint(found), configuration.stamp)


def backfill(turn: Turn) -> Taken:
    """Take one turn of a backfill.  May be repeated: a turn counts once.

    1. Stop if the template takes no part any more; begin anew if its rules were changed.
    2. Let live events go first, and badges that wait for Credly.
    3. Read the events of the next learners; done, if there are none.
    4. In one transaction, put back to `received` those that meet the template, and note how far this came.
    5. Evaluate and persist them here and now, so that none waits in a queue of the live ones.  A learner's are persisted
       together, unless they are very many: Credly hears of where they lead, not of what was so in between.

    A worker killed within 5 leaves them to housekeeping, as any other event.

    Raises:
        OperationalError, InterfaceError: the database can't be reached; housekeeping has this turn, or the next, taken.
    """
    row = backfills.whose(turn)
    if row is None:
        return NOTHING
    try:
        template, rule = rules_of(row.template)
    except CantRun as reason:
        backfills.stop(row, str(reason))
        return NOTHING
    if rule.fingerprint != row.rule:
        backfills.begin_again(row, rule)
        return Taken([], _next(turn))
    if first := _who_goes_first(row):
        backfills.hold(row, first)
        return NOTHING
    if row.total is None:
        backfills.note_total(row, kept.count(backfills.span_of(row)))
    events = kept.of_learners(backfills.span_of(row), row.position, AT_ONCE)
    if not events:
        backfills.finish(row)
        logger.info("Backfill of template %s: done", row.template.uuid)
        return NOTHING
    met = kept.meeting(rules.Ruleset([template]), events)
    if not _put_back(row, rule, events, met):
        return NOTHING
    return Taken(_run(row, met), _next(turn))


def _next(turn: Turn) -> Turn:
    return Turn(turn.backfill, turn.number + 1)


def _who_goes_first(row: Backfill) -> str:
    """What a backfill waits for; empty if nothing."""
    events = Event.objects.filter(status=EventStatus.RECEIVED)
    if events[: EVENTS_FIRST + 1].count() > EVENTS_FIRST:
        return f"Waits while more than {EVENTS_FIRST} events wait in the inbox: they go first."
    badges = Badge.objects.filter(due_at__isnull=False, template__organization=row.template.organization_id)
    if badges[: BADGES_FIRST + 1].count() > BADGES_FIRST:
        return f"Waits while more than {BADGES_FIRST:,} badges of the organization wait for Credly."
    return ""


def _put_back(row: Backfill, rule: Rules, events: Sequence[kept.Kept], met: Sequence[Met]) -> bool:
    with transaction.atomic():
        taken = backfills.advance(row, rule, events[-1].lms_user_id, looked_at=len(events), ran=len(met))
        if taken:
            inbox.replay([each.event.id for each in met])
    return taken


def _run(row: Backfill, met: Sequence[Met]) -> list[int]:
    """The badges that the events changed."""
    matching = set(evaluate([each.event.id for each in met])) if met else set()
    batches = _batches([each for each in met if each.event.id in matching])
    badges = [badge for batch in batches for badge in persist(batch)]
    standings = list(Badge.objects.filter(pk__in=badges, template=row.template_id).values_list("standing", flat=True))
    awarded = standings.count(Standing.AWARDED)
    backfills.note_badges(row, awarded, len(standings) - awarded)
    return badges


def _batches(met: Sequence[Met]) -> Iterator[list[UUID]]:
    """The events of some learners at a time, each learner's whole unless they are very many."""
    batch: list[UUID] = []
    learner = None
    for each in met:
        if (each.event.lms_user_id != learner and len(batch) >= TOGETHER) or len(batch) >= MOST_OF_ONE_LEARNER:
            yield batch
            batch = []
        learner = each.event.lms_user_id
        batch.append(each.event.id)
    if batch:
        yield batch
