"""Subscriptions: which event types do active templates ask for?  For those who are to know no more of the configuration."""

import uuid
from typing import NamedTuple

from pipeline.models import ConfigurationVersion, Penalty, Requirement


class _Known(NamedTuple):
    stamp: uuid.UUID | None
    event_types: frozenset[str]


_known: _Known | None = None


def asked_for() -> frozenset[str]:
    """The event types of the requirements and penalties of active templates.

    One query when nothing changed since the last call, three when something did.
    """
    global _known
    stamp = ConfigurationVersion.current()
    if _known is None or _known.stamp != stamp:
        # Should the configuration change in between, these are newer than their stamp, and are read again.
        _known = _Known(stamp, _event_types())
    return _known.event_types


def _event_types() -> frozenset[str]:
    return frozenset(
        event_type
        for condition in (Requirement, Penalty)
        for event_type in condition.objects.filter(template__active=True)
        .values_list("event_type", flat=True)
        .distinct()
    )
