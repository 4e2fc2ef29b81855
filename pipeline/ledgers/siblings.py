"""Siblings: a learner's badges of one template for different values of its `per`.

Credly can't tell one from the other, so a badge whose answer was lost is found again only while no other is on its way.
"""

from django.db.models import Q, QuerySet
from django.utils import timezone

from pipeline.ledgers import steps
from pipeline.models import Badge, CredlyState, Standing


def another_is_being_issued(badge: Badge) -> bool:
    """Whether the badge must wait for a sibling.  Of several without an answer the first goes first, before all others."""
    if badge.value == "" or steps.step(badge) not in steps.ISSUING:
        return False
    on_their_way = _siblings(badge).filter(credly_state=CredlyState.ISSUING)
    if badge.credly_state == CredlyState.ISSUING:
        on_their_way = on_their_way.filter(Q(claimed_until__gt=timezone.now()) | Q(pk__lt=badge.pk))
    return on_their_way.exists()


def another_may_appear(badge: Badge) -> bool:
    """Whether a badge that Credly lists of the learner and template may be a sibling that we do not know by its id yet."""
    return _siblings(badge).filter(credly_state=CredlyState.ISSUING).exists()


def another_is_held(badge: Badge) -> bool:
    """Whether Credly holds a sibling."""
    return _siblings(badge).filter(credly_id__isnull=False).exclude(credly_state=CredlyState.REVOKED).exists()


def waiting_for(badge: Badge) -> list[int]:
    """The id of the next of the siblings that may have waited for this badge to be issued."""
    if badge.value == "":
        return []
    unissued = _siblings(badge).filter(standing=Standing.AWARDED, credly_state=CredlyState.NONE, due_at__isnull=False)
    return list(unissued.order_by("pk").values_list("pk", flat=True)[:1])


def _siblings(badge: Badge) -> QuerySet[Badge]:
    return Badge.objects.filter(learner=badge.learner_id, template=badge.template_id).exclude(value=badge.value)
