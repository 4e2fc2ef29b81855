"""The outbox: signals that tell what became of badges, to be put on the event bus."""

import logging
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from pipeline.ledgers import claims, retirement
from pipeline.ledgers.tracebacks import own_frames
from pipeline.models import Badge, Signal, SignalState
from pipeline.models.configuration import BADGE_EVENTS

logger = logging.getLogger(__name__)

AWARDED, REVOKED = BADGE_EVENTS

SUBJECT = ("badge__learner", "badge__template", "badge__value")
"""What a signal is about: the order holds among those that agree in these."""

_CLAIM_ENDS: dict[str, Any] = {"claim": None, "claimed_until": None, "taken_up": 0, "error": "", "traceback": ""}

LONGEST_WAIT = timedelta(seconds=60)
"""Between attempts: the bus is ours, so nobody is spared by a longer wait."""


def write(badge: Badge, event_type: str) -> list[int]:
    """Write the signal of this type about a badge.  Returns its id, or nothing if it was told before.  May be repeated.

    Call it in the transaction that records the fact.
    """
    now = timezone.now()
    signal = Signal(badge=badge, event_type=event_type, payload=_payload(badge), due_at=now)
    signal.created_at = _after_earlier_ones(badge, event_type, now)
    try:
        with transaction.atomic():
            signal.save(force_insert=True)
    except IntegrityError:
        if Signal.objects.filter(badge=badge, event_type=event_type).exists():
            return []
        raise
    return [signal.pk]


def _after_earlier_ones(badge: Badge, event_type: str, now: datetime) -> datetime:
    """Now, but never before an earlier signal about the same badge, whatever the clocks of two machines say.

    For who reads them, us included, the newest decides.
    """
    if event_type == AWARDED and badge.cycle == 1:
        return now
    of_same = Signal.objects.filter(**dict(zip(SUBJECT, _subject(badge), strict=True)))
    last: datetime | None = of_same.aggregate(last=Max("created_at"))["last"]
    return max(now, last + timedelta(microseconds=1)) if last else now


def _payload(badge: Badge) -> dict[str, Any]:
    """`BadgeData` of openedx-events as plain data."""
    learner, template = badge.learner, badge.template
    return {
        "uuid": str(badge.uuid),
        "user": {
            "id": learner.lms_user_id,
            "is_active": learner.active,
            "pii": {"username": learner.username, "email": learner.email, "name": learner.name},
        },
        "template": {
            "uuid": str(template.uuid),
            "origin": "credly",
            "name": template.name,
            "description": template.description,
            "image_url": template.image_url,
        },
    }


def ready(ids: Collection[int]) -> list[Signal]:
    """Those of these signals that may be sent now: due, and none about the same badge is before them.

    One that was taken up too often without a result is `failed`.
    """
    free = Signal.objects.filter(claims.free(timezone.now()), _its_turn(), pk__in=ids, state=SignalState.PENDING)
    signals = list(free.select_related("badge__learner").order_by("pk"))
    for signal in signals:
        if signal.taken_up >= claims.MOST_TAKEN_UP:
            _give_up(signal)
    return [signal for signal in signals if signal.taken_up < claims.MOST_TAKEN_UP]


def claim(signals: Sequence[Signal]) -> tuple[list[Signal], uuid.UUID]:
    """Claim these signals; returns those that nobody else has, and the claim's token.

    About a retired learner they go out under the pseudonym, even if their writer had not heard of the retirement.
    """
    token = claims.take_all([signal.pk for signal in signals], Signal.objects.filter(state=SignalState.PENDING))
    # Read again: a learner may have been retired since.
    mine = list(_mine(signals, token).select_related("badge__learner").order_by("pk"))
    for signal in mine:
        if signal.badge.learner.retired_at:
            retirement.conceal(signal)
    return mine, token


def _its_turn() -> Q:
    """No earlier signal about the same badge waits."""
    of_same = {name: OuterRef(name) for name in SUBJECT}
    return ~Q(Exists(Signal.objects.filter(**of_same, state=SignalState.PENDING, pk__lt=OuterRef("pk"))))


def _give_up(signal: Signal) -> None:
    reason = f"Taken up {signal.taken_up} times without a result: its worker died of it, or was killed, each time."
    mine = Signal.objects.filter(claims.free(timezone.now()), pk=signal.pk, taken_up=signal.taken_up)
    if mine.update(state=SignalState.FAILED, claim=None, claimed_until=None, due_at=None, error=reason):
        logger.error("Signal %s was taken up %s times without a result; failed", signal.uuid, signal.taken_up)


def sent(signals: Sequence[Signal], token: uuid.UUID) -> None:
    """The bus has these signals.  May be repeated."""
    _mine(signals, token).update(state=SignalState.SENT, sent_at=timezone.now(), due_at=None, **_CLAIM_ENDS)


def disabled(signals: Sequence[Signal], token: uuid.UUID) -> None:
    """No topic wants these signals.  May be repeated."""
    _mine(signals, token).update(state=SignalState.DISABLED, due_at=None, **_CLAIM_ENDS)


def postpone(signal: Signal, token: uuid.UUID, reason: str) -> None:
    """The bus did not take the signal: try again later, and never give up.  May be repeated."""
    wait = min(claims.wait(signal.attempts + 1), LONGEST_WAIT)
    _mine([signal], token).update(due_at=timezone.now() + wait, **_CLAIM_ENDS | {"error": reason})


def fail(signal: Signal, token: uuid.UUID, error: Exception) -> None:
    """The signal can't be put on any bus as it is.  May be repeated."""
    failure = {"error": f"{type(error).__name__}: {error}", "traceback": own_frames(error)}
    _mine([signal], token).update(state=SignalState.FAILED, due_at=None, **_CLAIM_ENDS | failure)


def _mine(signals: Sequence[Signal], token: uuid.UUID) -> QuerySet[Signal]:
    """Those of these signals that are still claimed under this token."""
    return Signal.objects.filter(pk__in=[signal.pk for signal in signals], claim=token)


def following(signals: Sequence[Signal]) -> list[int]:
    """The next signals that waited for these, which have ended; of each badge the first."""
    about = {_subject(signal.badge) for signal in signals}
    pending = Signal.objects.filter(state=SignalState.PENDING, badge__learner__in={learner for learner, *_ in about})
    of_learners = pending.order_by("-pk").values_list("pk", *SUBJECT)
    first = {tuple(subject): pk for pk, *subject in of_learners if tuple(subject) in about}
    return sorted(first.values())


def redrive(signal: Signal) -> bool:
    """Try a `failed` signal again.  Says whether there was anything to try.  May be repeated.

    One after which a later one about the same badge was sent stays as it is: told now, it would be news.
    """
    of_same = Signal.objects.filter(**dict(zip(SUBJECT, _subject(signal.badge), strict=True)))
    if of_same.filter(state=SignalState.SENT, pk__gt=signal.pk).exists():
        return False
    return bool(
        Signal.objects.filter(pk=signal.pk, state=SignalState.FAILED).update(
            state=SignalState.PENDING, due_at=timezone.now(), attempts=0, taken_up=0, traceback=""
        )
    )


def _subject(badge: Badge) -> tuple[int, int, str]:
    return badge.learner_id, badge.template_id, badge.value
