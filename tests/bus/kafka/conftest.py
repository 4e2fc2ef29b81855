"""Kafka, and topics of a test's own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("confluent_kafka", reason="Kafka is an optional requirement: requirements-kafka.txt")

from tests.bus.kafka.cluster import Kafka, running_kafka
from tests.bus.kafka.pace import be_quick

TOPIC = "learning-badges-lifecycle"


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[Kafka]:
    with running_kafka() as kafka:
        yield kafka


@pytest.fixture
def kafka(kafka_cluster: Kafka, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """The settings name this cluster and a new topic on it."""
    configure(kafka_cluster, settings, monkeypatch)
    return kafka_cluster


@pytest.fixture
def own_kafka(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kafka]:
    """A cluster that the test may stop."""
    with running_kafka() as kafka:
        if kafka.broker is None:
            pytest.skip("a real cluster (KAFKA_TEST_BOOTSTRAP) is not for a test to stop")
        configure(kafka, settings, monkeypatch)
        yield kafka


def configure(kafka: Kafka, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kafka.environment.items():
        setattr(settings, name, value)
    settings.EVENT_BUS_TOPIC_PREFIX = f"test-{uuid4()}"
    be_quick(monkeypatch.setattr)
    kafka.create(f"{settings.EVENT_BUS_TOPIC_PREFIX}-{TOPIC}")


@pytest.fixture
def topic(kafka: Kafka, settings: Any) -> str:
    """The full name of the badges topic."""
    return f"{settings.EVENT_BUS_TOPIC_PREFIX}-{TOPIC}"
