"""The Kafka that tests run on, where it is not ours."""

import pytest
import requests

from tests.bus.kafka import cluster
from tests.bus.kafka.cluster import Kafka, running_kafka


def test_brokers_without_a_schema_registry_get_one(kafka_cluster: Kafka, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "REAL_BOOTSTRAP", kafka_cluster.bootstrap)
    monkeypatch.setattr(cluster, "REAL_REGISTRY", "")
    with running_kafka() as kafka:
        assert (kafka.bootstrap, kafka.broker) == (kafka_cluster.bootstrap, None)
        assert requests.get(f"{kafka.registry_url}/subjects", timeout=10).json() == []
