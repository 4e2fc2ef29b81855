"""What a change of the rules does to what requirements have counted."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from django.db.models import F

from pipeline.models import Fulfillment, Occurrence, Operator, Requirement, Template
from pipeline.models.configuration import Rule
from pipeline.rules import lines


@dataclass(frozen=True)
class Counted:
    """What a stored requirement counts: whether it does, and if so, which events, told apart by what."""

    counts: bool
    events: Hashable


def counted(template: Template) -> dict[int, Counted]:
    """What the stored requirements of a template count, by their ids.  To be asked before a change."""
    rows = list(Requirement.objects.filter(template=template).prefetch_related("rules"))
    followed = {row.after_id for row in rows}
    return {row.pk: _counted(row, is_followed=row.pk in followed) for row in rows}


def begin_anew(template: Template, before: Mapping[int, Counted]) -> dict[int, int]:
    """Forget what requirements have counted that count something else since a change, or count no more.

    Events that only the rules of before let through would else fulfill them together with later ones.  Who fulfilled them
    has done so.  A backfill runs the kept events through the new rules.

    1. What is noted for them from now on is told from what workers with the rules of before still note.
    2. What was noted goes; so do penalties that struck what is counted no more.

    Args:
        template: whose requirements are stored as changed.
        before: what they counted before the change.

    Returns:
        For how many learners something is forgotten, by requirement id.
    """
    after = counted(template)
    changed = [each for each, old in before.items() if old.counts and each in after and after[each] != old]
    noted = Occurrence.objects.filter(requirement__in=changed)
    learners = {each: noted.filter(requirement=each).values("progress__learner").distinct().count() for each in changed}
    Requirement.objects.filter(pk__in=changed).update(begun_anew=F("begun_anew") + 1)
    noted.delete()
    still = [each for each in changed if after[each].counts]
    Fulfillment.objects.filter(requirement__in=still, fulfilled=False).delete()
    return learners


def _counted(row: Requirement, *, is_followed: bool) -> Counted:
    counts = row.count > 1 or row.told_apart_by != "" or row.after_id is not None or is_followed
    events = (row.event_type, row.told_apart_by, frozenset(_compared(rule) for rule in row.rules.all()))
    return Counted(counts, events)


def _compared(rule: Rule) -> Hashable:
    """The rule, whatever the order in which it lists values."""
    listed = rule.operator in (Operator.IN, Operator.NOT_IN)
    return rule.data_path, rule.operator, frozenset(lines(rule.value)) if listed else rule.value
