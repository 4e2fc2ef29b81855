"""How Kafka and its schema registry are reached: by the settings of edx-event-bus-kafka, with limits to every wait."""

import logging
from functools import lru_cache
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from django.conf import settings
from edx_event_bus_kafka.internal.config import load_common_settings

ANSWER_SECONDS = 4.0
"""How long an answer of a broker may take."""

REGISTRY_SECONDS = 5.0

METADATA_SECONDS = 10
"""How soon a topic or a partition that was created meanwhile is noticed."""


def configuration(**more: Any) -> dict[str, Any]:
    """What a client of librdkafka is made with: addresses and credentials, waits, and our log instead of standard error.

    Underscores in the names of `more` stand for the dots of librdkafka's.
    """
    return {
        **load_common_settings(),
        "socket.timeout.ms": int(ANSWER_SECONDS * 1000),
        "topic.metadata.refresh.interval.ms": METADATA_SECONDS * 1000,
        "logger": logging.getLogger("librdkafka"),
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def registry() -> SchemaRegistryClient:
    """The client of the schema registry; it remembers schemas and never waits without end, as the stock one does."""
    return _registry(
        settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL,
        settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY,
        settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET,
    )


@lru_cache
def _registry(url: str, key: str, secret: str) -> SchemaRegistryClient:
    credentials = {"basic.auth.user.info": f"{key}:{secret}"} if key else {}
    return SchemaRegistryClient({"url": url, "timeout": REGISTRY_SECONDS, "max.retries": 0, **credentials})
