"""Kafka for a test: the mock cluster and a schema registry of ours, each in a process of its own, or a real cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.system import PROJECT

REAL_BOOTSTRAP = os.environ.get("KAFKA_TEST_BOOTSTRAP", "")
REAL_REGISTRY = os.environ.get("KAFKA_TEST_SCHEMA_REGISTRY", "")
PARTITIONS = 4


@dataclass
class Part:
    """A process that says in one line of JSON where it is."""

    process: "subprocess.Popen[str]"
    told: dict[str, str]

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def part(module: str) -> Iterator[Part]:
    command = [sys.executable, "-m", f"tests.bus.kafka.{module}"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            yield Part(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


@dataclass
class Kafka:
    """A cluster with its schema registry; `broker` and `registry` are the processes of the mocks, None of a real cluster."""

    bootstrap: str
    registry_url: str
    broker: Part | None = None
    registry: Part | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": self.registry_url,
        }

    def create(self, topic: str) -> None:
        if self.broker is None:
            client = AdminClient({"bootstrap.servers": self.bootstrap})
            client.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(30)
            return
        assert self.broker.process.stdin
        assert self.broker.process.stdout
        self.broker.process.stdin.write(f"{topic}\n")
        self.broker.process.stdin.flush()
        self.broker.process.stdout.readline()

    def produce(self, topic: str, *messages: tuple[Any, Any], partition: int = 0) -> None:
        """Put raw messages, header mapping and value, on one partition."""
        client = Producer({"bootstrap.servers": self.bootstrap, "log_level": 3})
        for headers, value in messages:
            client.produce(topic, value=value, headers=headers, partition=partition)
        assert client.flush(30) == 0

    def committed(self, topic: str, group: str) -> list[int]:
        """The group's next offset in each partition; -1001 where it has none."""
        with self._asking(group) as client:
            asked = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            return [each.offset for each in client.committed(asked, timeout=10)]

    def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        with self._asking("nobody") as client:
            found = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            assert found
            return found

    def commit(self, topic: str, group: str, offsets: dict[int, int]) -> None:
        """Set an idle group's offsets, as `kafka-consumer-groups --reset-offsets` does."""
        client = Consumer(self._of_group(group))
        client.subscribe([topic])
        until = time.monotonic() + 60
        while not client.assignment() and time.monotonic() < until:
            client.poll(0.2)
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        client.commit(offsets=wanted, asynchronous=False)
        client.close()

    @contextmanager
    def _asking(self, group: str) -> Iterator[Consumer]:
        client = Consumer(self._of_group(group))
        try:
            yield client
        finally:
            client.close()

    def _of_group(self, group: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "session.timeout.ms": 6_000,
            "log_level": 3,
        }


@contextmanager
def running_kafka() -> Iterator[Kafka]:
    if REAL_BOOTSTRAP:
        yield Kafka(REAL_BOOTSTRAP, REAL_REGISTRY)
        return
    with part("mock_cluster") as broker, part("schema_registry") as registry:
        yield Kafka(broker.told["bootstrap"], registry.told["url"], broker, registry)
