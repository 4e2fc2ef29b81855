"""The whole way of learners' events, every part a process, on each bus and each broker; the database is that of the run.

One cell of docs/matrix.md: `make test DB=mysql ARGS="tests/system/test_matrix.py -k 'kafka and rabbitmq'"`.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.rabbitmq import RabbitMQServer
from pipeline.embedded.system import TOPIC, System
from tests.databases import server_of_run
from tests.system.academy import Academy, learner, penalty, requirement
from tests.system.conditions import eventually
from tests.tasks.rabbitmq_nodes import rabbitmq_node, running_rabbitmq

pytestmark = pytest.mark.timeout(400)

AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"
COURSE = ("course.course_key", "eq", "course-v1:Matrix+1+2026")
PASSED, FAILED = ("is_passing", "eq", "true"), ("is_passing", "eq", "false")
LIVE = "pending"

Signals = list[tuple[str, str, int]]
"""Id, type and learner of each."""


class RedisBus:
    """The LMS's side of it reads along in the system."""

    environment: dict[str, str] = {}
    has_lms = True

    def signals(self, system: System, number: int) -> Signals:
        eventually(lambda: len(system.received_signals()) >= number)
        return [(told["id"], told["type"], told["learner"]) for told in system.received_signals()]


class KafkaBus:
    """A topic of its own; the LMS's side reads it in the end."""

    has_lms = False

    def __init__(self, kafka: Any) -> None:
        self._kafka = kafka
        self._prefix = f"test-{uuid.uuid4()}"
        kafka.create(f"{self._prefix}-{TOPIC}")
        self.environment = {**kafka.environment, "EVENT_BUS_TOPIC_PREFIX": self._prefix}

    def signals(self, _: System, number: int) -> Signals:
        from tests.bus.kafka.test_producer import read_by_stock_consumer

        read = read_by_stock_consumer(self._kafka, self._prefix, number)
        return [(told["metadata"]["id"], told["metadata"]["event_type"], told["badge"]["user"]["id"]) for told in read]


Bus = RedisBus | KafkaBus


@pytest.fixture(params=["redis", "kafka"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "redis":
        yield RedisBus()
        return
    pytest.importorskip("confluent_kafka", reason="Kafka is an optional requirement: requirements-kafka.txt")
    from tests.bus.kafka.cluster import running_kafka

    with running_kafka() as kafka:
        yield KafkaBus(kafka)


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQServer]:
    with running_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture
def rabbitmq_environment(rabbitmq: RabbitMQServer) -> Iterator[dict[str, str]]:
    with rabbitmq_node(rabbitmq) as node:
        yield {"CELERY_BROKER_URL": node.url}


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the environment says of it."""
    told: dict[str, str] = request.getfixturevalue("rabbitmq_environment") if request.param == "rabbitmq" else {}
    return told


StartSystem = Callable[[Bus, dict[str, str]], System]


@pytest.fixture
def start_system(tmp_path: Path) -> Iterator[StartSystem]:
    started: list[System] = []

    def start_system(bus: Bus, broker: dict[str, str]) -> System:
        environment = {**bus.environment, **broker}
        database = server_of_run(tmp_path / "database")
        system = System(tmp_path / "system", lms=bus.has_lms, environment=environment, database=database)
        started.append(system)
        return system.start()

    yield start_system
    for system in started:
        system.stop()


def course_template(academy: Academy) -> str:
    """Passing the course earns its badge, failing takes it.  Of Credly's side nothing keeps a learner from getting two."""
    earned, lost = requirement("pass", PASSED, COURSE), penalty("fail", ["pass"], FAILED, COURSE)
    return academy.template([earned], [lost], allow_duplicates=True)


def states(academy: Academy, template: str) -> Counter[tuple[str, str]]:
    """How many badges of each state each learner ever got at Credly."""
    return Counter((badge["issuer_earner_id"], badge["state"]) for badge in academy.badges_at_credly(template))


def test_learners_get_their_badges_and_the_lms_is_told(bus: Bus, broker: dict[str, str], start_system: StartSystem):
    system = start_system(bus, broker)
    academy, learners = Academy(system), [learner() for _ in range(10)]
    template, failing = course_template(academy), learners[:3]
    academy.play_and_wait(*(academy.passes(who, COURSE[2]) for who in learners))
    academy.play_and_wait(*(academy.fails(who, COURSE[2]) for who in failing))

    kept = [who for who in learners if who not in failing]
    at_credly = {(str(who.id), "revoked"): 1 for who in failing} | {(str(who.id), LIVE): 1 for who in kept}
    assert states(academy, template) == at_credly
    told = [(AWARDED, who.id) for who in learners] + [(REVOKED, who.id) for who in failing]
    signals = bus.signals(system, len(told))
    assert sorted((kind, who) for _, kind, who in signals) == sorted(told)
    status = system.status()
    assert status["events"]["processed"] == len(told)
    assert (status["events"]["failed"], status["signals"]["sent"]) == (0, len(told))


def test_nothing_is_lost_and_nothing_done_twice_while_rabbitmq_is_killed_and_comes_back(
    rabbitmq: RabbitMQServer, rabbitmq_environment: dict[str, str], start_system: StartSystem
):
    # Four calls of a second each at once: between a tenth of the badges and all of them there are seconds.
    system = start_system(RedisBus(), rabbitmq_environment | {"CREDLY_CONCURRENCY": "4"})
    academy, learners = Academy(system), [learner() for _ in range(100)]
    template, failing = course_template(academy), learners[:30]

    def at_credly_in(state: str) -> int:
        return sum(badge["state"] == state for badge in academy.badges_at_credly(template))

    def kill_in_the_midst(state: str, awaited: int) -> None:
        eventually(lambda: at_credly_in(state) >= awaited / 10)
        rabbitmq.kill()
        assert at_credly_in(state) < awaited

    system.credly("POST", "faults", {"match": {"path": "/badges"}, "delay": 1, "when": "before", "times": 10_000})
    academy.play(*(academy.passes(who, COURSE[2]) for who in learners[:60]))
    kill_in_the_midst(LIVE, 60)
    academy.play(*(academy.passes(who, COURSE[2]) for who in learners[60:]))
    rabbitmq.start()
    system.wait_until_idle()
    academy.play(*(academy.fails(who, COURSE[2]) for who in failing))
    kill_in_the_midst("revoked", 30)
    rabbitmq.start()
    system.wait_until_idle()

    kept = [who for who in learners if who not in failing]
    at_credly = {(str(who.id), "revoked"): 1 for who in failing} | {(str(who.id), LIVE): 1 for who in kept}
    assert states(academy, template) == at_credly
    told = [(AWARDED, who.id) for who in learners] + [(REVOKED, who.id) for who in failing]
    signals = set(eventually(lambda: RedisBus().signals(system, len(told))))
    assert sorted((kind, who) for _, kind, who in signals) == sorted(told)
    assert system.status()["events"]["failed"] == 0
