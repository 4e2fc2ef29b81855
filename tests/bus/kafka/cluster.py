"""Kafka for a test: the mock cluster and a schema registry of ours, each in a process of its own, or a real cluster.

A real one (`KAFKA_TEST_BOOTSTRAP`, with its registry in `KAFKA_TEST_SCHEMA_REGISTRY` or with ours) is called without a login;
topics and groups have names of their own, and the topics are deleted in the end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.system import PROJECT

REAL_BOOTSTRAP = os.environ.get("KAFKA_TEST_BOOTSTRAP", "")
REAL_REGISTRY = os.environ.get("KAFKA_TEST_SCHEMA_REGISTRY", "")
PARTITIONS = 4

SESSION_MS = 6_000 if REAL_BOOTSTRAP else 3_000
"""A real broker takes no session below six seconds.  The mock shares partitions out a second before the session's end."""

HANG_MS = 10_000
"""A mock that got no time of the machine for a second forgets who wants to join: then it is asked again after this."""


@dataclass
class Part:
    """A process that says in one line of JSON where it is."""

    process: "subprocess.Popen[str]"
    told: dict[str, str]

    def order(self, *order: object) -> None:
        """Have it do something, and wait until that is done."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline()) == {"done": list(order)}

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def refuse(self) -> None:
        """A broker ends all connections and takes no more."""
        self.order("down")

    def accept(self) -> None:
        self.order("up")

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
    """A cluster with its schema registry; `broker` and `registry` are the processes of ours, None where it is a real one."""

    bootstrap: str
    registry_url: str
    broker: Part | None = None
    registry: Part | None = None
    created: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": self.registry_url,
        }

    def create(self, topic: str) -> None:
        if self.broker:
            self.broker.order("create", topic)
            return
        self.created.append(topic)
        self._administrator().create_topics([NewTopic(topic, PARTITIONS)])[topic].result(30)

    def delete(self, topic: str, before: int, partition: int = 0) -> None:
        """Remove the messages before an offset, as retention does."""
        if self.broker:
            self.broker.order("delete", topic, partition, before)
            return
        for done in self._administrator().delete_records([TopicPartition(topic, partition, before)]).values():
            done.result(30)

    def clear(self) -> None:
        """Remove the topics from a real cluster."""
        if self.created:
            for done in self._administrator().delete_topics(self.created).values():
                done.result(30)

    def _administrator(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})

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
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": SESSION_MS // 3,
            "max.poll.interval.ms": HANG_MS,
            "log_level": 3,
        }


@contextmanager
def running_kafka() -> Iterator[Kafka]:
    with ExitStack() as stack:
        broker = None if REAL_BOOTSTRAP else stack.enter_context(part("mock_cluster"))
        registry = None if REAL_REGISTRY else stack.enter_context(part("schema_registry"))
        kafka = Kafka(
            broker.told["bootstrap"] if broker else REAL_BOOTSTRAP,
            registry.told["url"] if registry else REAL_REGISTRY,
            broker,
            registry,
        )
        stack.callback(kafka.clear)
        yield kafka
