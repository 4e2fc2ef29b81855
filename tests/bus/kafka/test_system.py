"""The whole way over Kafka, every part a process: LMS, brokers, consumer, workers, Credly, a stock reader of the signals."""

import json
import signal
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.process import ChildProcess
from pipeline.embedded.system import System
from tests.bus.kafka.cluster import PARTITIONS, Kafka
from tests.bus.kafka.conftest import TOPIC
from tests.bus.kafka.test_producer import read_by_stock_consumer
from tests.system.academy import Academy, learner, penalty, requirement
from tests.system.conditions import eventually

pytestmark = pytest.mark.system

WORKERS = ("worker", "credly", "beat")
GROUP = f"group-{uuid.uuid4()}"
AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"

TIME_TO_END = 10
"""Seconds after SIGTERM, before hosts send SIGKILL."""


@pytest.fixture
def prefix(kafka_cluster: Kafka) -> str:
    prefix = f"test-{uuid.uuid4()}"
    kafka_cluster.create(f"{prefix}-{TOPIC}")
    return prefix


def system(folder: Path, kafka: Kafka, prefix: str, processes: tuple[str, ...] = ()) -> System:
    environment = {**kafka.environment, "EVENT_BUS_TOPIC_PREFIX": prefix, "EVENT_BUS_CONSUMER_GROUP": GROUP}
    return System(folder, processes=processes, lms=False, environment=environment)


@pytest.fixture
def bare(tmp_path: Path, kafka_cluster: Kafka, prefix: str) -> Iterator[System]:
    """Nothing runs but what a test starts."""
    with system(tmp_path, kafka_cluster, prefix) as running:
        yield running


def consume(running: System, manner: str = "well", *more: str) -> ChildProcess:
    command = [sys.executable, "-m", "tests.bus.kafka.consume", manner, GROUP, *more]
    return running.start_process(f"consumer-{uuid.uuid4().hex[:8]}", command)


def events(running: System) -> int:
    """How many the inbox has."""
    with closing(sqlite3.connect(f"file:{running.folder / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        [number] = database.execute("SELECT count(*) FROM pipeline_event").fetchone()
    return int(number)


def until_everything_is_read(kafka: Kafka, prefix: str) -> None:
    topic = f"{prefix}-{TOPIC}"
    ends = [kafka.bounds(topic, partition)[1] for partition in range(PARTITIONS)]
    eventually(lambda: kafka.committed(topic, GROUP) == ends)


def test_an_event_becomes_a_badge_and_both_signals_are_read_by_a_stock_consumer(
    tmp_path: Path, kafka_cluster: Kafka, prefix: str
):
    with system(tmp_path, kafka_cluster, prefix, ("consumer", *WORKERS)) as running:
        academy, who = Academy(running), learner("Kim")
        rule = ("course.course_key", "eq", "course-v1:Kafka+1+2026")
        template = academy.template(
            [requirement("pass", ("is_passing", "eq", "true"), rule)],
            [penalty("fail", ["pass"], ("is_passing", "eq", "false"), rule)],
        )
        academy.play_and_wait(academy.passes(who, rule[2]))
        assert academy.holders(template) == [str(who.id)]
        academy.play_and_wait(academy.fails(who, rule[2]))
        assert [badge["state"] for badge in academy.badges_at_credly(template)] == ["revoked"]

        signals = read_by_stock_consumer(kafka_cluster, prefix, 2)
        assert [told["metadata"]["event_type"] for told in signals] == [AWARDED, REVOKED]
        assert {told["badge"]["template"]["uuid"] for told in signals} == {template}
        assert {told["badge"]["user"]["id"] for told in signals} == {who.id}
        assert running.status()["signals"]["sent"] == 2


def test_a_consumer_killed_between_inbox_and_commit_loses_and_doubles_nothing(
    bare: System, kafka_cluster: Kafka, prefix: str
):
    bare.manage("produce_events", "--learners", "20", "--course", "course-v1:A+B+C")
    dying = consume(bare, "stored")
    eventually(lambda: not dying.running)
    assert events(bare) == 20
    assert sum(kafka_cluster.committed(f"{prefix}-{TOPIC}", GROUP)) == 0

    consume(bare)
    until_everything_is_read(kafka_cluster, prefix)
    assert events(bare) == 20


def test_control_a_consumer_that_commits_first_loses_what_it_dies_with(bare: System, kafka_cluster: Kafka, prefix: str):
    bare.manage("produce_events", "--learners", "20", "--course", "course-v1:A+B+C")
    dying = consume(bare, "acknowledged-first")
    eventually(lambda: not dying.running)
    consume(bare)
    until_everything_is_read(kafka_cluster, prefix)
    assert events(bare) == 0


def test_of_two_consumers_one_is_killed_and_the_other_reads_everything(bare: System, kafka_cluster: Kafka, prefix: str):
    doomed, other = consume(bare), consume(bare)
    for process in (doomed, other):
        process.wait_for_output("reads")
    bare.manage("produce_events", "--learners", "50", "--course", "course-v1:A+B+C", "--course", "course-v1:D+E+F")
    doomed.send(signal.SIGKILL)
    produced = json.loads(bare.manage("produce_events", "--learners", "50", "--start-id", "51", "--json"))
    until_everything_is_read(kafka_cluster, prefix)
    assert events(bare) == 100 + produced["distinct"]


def test_a_consumer_that_is_asked_to_stop_leaves_the_group_and_ends_well(bare: System):
    leaving = consume(bare)
    bare.manage("produce_events", "--learners", "5")
    eventually(lambda: events(bare) == 5)
    leaving.send(signal.SIGTERM)
    eventually(lambda: not leaving.running)
    assert "stopped" in leaving.output()


def test_a_consumer_ends_within_ten_seconds_although_the_brokers_hang_before_its_commit(
    tmp_path: Path, own_kafka: Kafka, settings: Any
):
    assert own_kafka.broker
    with system(tmp_path, own_kafka, settings.EVENT_BUS_TOPIC_PREFIX) as bare:
        bare.manage("produce_events", "--learners", "5")
        leaving = consume(bare, "brokers-hang", str(own_kafka.broker.process.pid))
        eventually(lambda: events(bare) == 5)
        leaving.send(signal.SIGTERM)
        assert leaving.wait(TIME_TO_END) == 0
        assert "stopped" in leaving.output()


def test_the_lms_that_cannot_reach_kafka_says_so_in_one_line(bare: System):
    done = bare.run_command("produce_events", "--learners", "1", EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert done.returncode == 1
    assert "Kafka does not answer" in done.stderr
    assert "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS" in done.stderr


def test_the_status_command_and_check_work_with_kafka(bare: System):
    assert bare.status()["bus"]["unread"] == 0
    bare.manage("check")
    assert bare.run_command("check", EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL="").stderr.count("badges.E005") == 1
