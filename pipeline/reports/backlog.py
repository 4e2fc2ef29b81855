"""What waits on the event bus for our consumer groups."""

from django.conf import settings

from pipeline.bus.positions import Backlog
from pipeline.bus.waiting import backlog
from pipeline.ledgers.groups import known


def our_groups() -> dict[str, list[str]]:
    """Our consumer groups by topic.

    Before the first consumer has made itself known, everything on the badges topic waits for it.
    """
    groups: dict[str, list[str]] = {}
    for topic, group in known() or [(settings.BADGES_TOPIC, "")]:
        groups.setdefault(topic, []).append(group)
    return groups


def backlogs() -> dict[str, Backlog]:
    """What waits on each topic: what one group of ours has stored is stored, so one that nobody uses does not count.

    Raises:
        pipeline.bus.unavailable.BusUnavailable: the bus does not answer.
    """
    return {
        topic: min((backlog(topic, group) for group in groups), key=lambda waiting: waiting.entries)
        for topic, groups in our_groups().items()
    }
