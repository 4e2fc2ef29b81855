"""Causes: which event led to what is to be done, for logs."""

import uuid
from collections.abc import Collection

from pipeline.ledgers import outbox
from pipeline.models import BadgeHistory

_TELLS = {outbox.AWARDED: "awarded", outbox.REVOKED: "revoked"}
"""What the history of a badge says of the event that a signal tells the consequence of."""


def of_badges(badges: Collection[int]) -> dict[int, uuid.UUID]:
    """By badge: the last event that decided its standing.  One that no event ever did is not among them."""
    rows = BadgeHistory.objects.filter(badge__in=badges).order_by("pk").values_list("badge", "event")
    return {badge: event for badge, event in rows if event}


def of_signals(signals: Collection[int]) -> dict[int, uuid.UUID]:
    """By signal: the event by which the badge was earned, or lost, of which it tells."""
    history = BadgeHistory.objects.filter(badge__signals__in=signals).order_by("pk")
    rows = history.values_list("badge__signals", "badge__signals__event_type", "what", "event")
    return {signal: event for signal, event_type, what, event in rows if event and _TELLS.get(event_type) == what}
