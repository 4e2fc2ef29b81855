"""Consumer groups of ours on the bus: whose backlog counts, and which of them a bus must not forget."""

from pipeline.bus.waiting import is_kafka
from pipeline.models import ConsumerGroup

_KAFKA = "kafka:"
"""Stands before a topic of Kafka's: a group of the same name on Redis is another one."""


def is_known(topic: str, group: str) -> bool:
    """Whether this group was ever begun on the bus that there is now."""
    return ConsumerGroup.objects.filter(topic=_named(topic), group=group).exists()


def remember(topic: str, group: str) -> None:
    """The bus has this group now.  May be repeated."""
    ConsumerGroup.objects.get_or_create(topic=_named(topic), group=group)


def known() -> list[tuple[str, str]]:
    """Topic and name of each group that was begun on the bus that there is now."""
    rows = ConsumerGroup.objects.order_by("pk").values_list("topic", "group")
    return [(topic.removeprefix(_KAFKA), group) for topic, group in rows if topic.startswith(_KAFKA) == is_kafka()]


def _named(topic: str) -> str:
    return f"{_KAFKA}{topic}" if is_kafka() else topic
