"""Both ends of the event bus, with real consumers."""

import json
import signal
import sys
import uuid
from collections.abc import Iterator

import pytest
from openedx_events.data import EventsMetadata
from openedx_events.learning.signals import COURSE_ENROLLMENT_CREATED
from redis import Redis

from pipeline.bus.codec import encode, event_data_for
from pipeline.embedded.system import TOPIC, System
from pipeline.lms.events import LmsEvent
from tests.databases import server_of_run
from tests.system.academy import Academy, learner, penalty, requirement
from tests.system.conditions import eventually

AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"
PASSED = ("is_passing", "eq", "true")
FAILED = ("is_passing", "eq", "false")


def course() -> str:
    return f"course-v1:Bus+{uuid.uuid4().hex[:8]}+2026"


@pytest.fixture
def bus(system: System) -> Redis:
    return Redis.from_url(system.redis.url)


def test_a_stock_consumer_of_the_lms_reads_the_awarded_and_then_the_revoked_signal(academy: Academy):
    key, who = course(), learner("Kim")
    rule = ("course.course_key", "eq", key)
    template = academy.template([requirement("pass", PASSED, rule)], [penalty("fail", ["pass"], FAILED, rule)])
    academy.play_and_wait(academy.passes(who, key))
    academy.play_and_wait(academy.fails(who, key))

    def of_this_template() -> list[dict[str, object]]:
        return [item for item in academy.system.received_signals() if item["template"] == template]

    signals = eventually(lambda: of_this_template() if len(of_this_template()) >= 2 else None)
    assert [signal["type"] for signal in signals] == [AWARDED, REVOKED]
    assert {item["learner"] for item in signals} == {who.id}
    assert [badge["state"] for badge in academy.badges_at_credly(template)] == ["revoked"]


def test_events_published_while_no_consumer_ran_are_read_when_one_starts(academy: Academy):
    system, key, who = academy.system, course(), learner()
    template = academy.template([requirement("pass", PASSED, ("course.course_key", "eq", key))])
    system.processes["consumer"].stop()
    academy.play(academy.passes(who, key))
    assert system.status()["bus"]["unread"] == 1

    system.processes["consumer"].start()
    system.wait_until_idle()

    assert academy.holders(template) == [str(who.id)]


def test_messages_that_a_dead_consumer_held_are_claimed_by_the_living(academy: Academy, bus: Redis):
    system, key, who = academy.system, course(), learner()
    template = academy.template([requirement("pass", PASSED, ("course.course_key", "eq", key))])
    system.processes["consumer"].stop()
    academy.play(academy.passes(who, key))
    held = bus.xreadgroup("credentials_dev", "one-that-died", {TOPIC: ">"}, count=10)
    assert held

    extra = json.dumps({"consumer_name": "one-that-lives", "claim_msgs_older_than": 500})
    living = system.start_process(
        f"consumer-{uuid.uuid4().hex}",
        [sys.executable, "manage.py", "consume_events", "-t", TOPIC, "-g", "credentials_dev", f"--extra={extra}"],
    )
    eventually(lambda: academy.holders(template) == [str(who.id)])
    living.stop()
    system.processes["consumer"].start()


def test_a_message_that_cannot_be_decoded_is_stored_as_failed_and_holds_nobody_back(academy: Academy, bus: Redis):
    system, key, who = academy.system, course(), learner()
    template = academy.template([requirement("pass", PASSED, ("course.course_key", "eq", key))])
    failed_before = system.status()["events"]["failed"]
    bus.xadd(TOPIC, {"event_data": b"\x00garbage", "type": "org.openedx.learning.course.passing.status.updated.v1"})
    bus.xadd(
        TOPIC,
        {"id": str(uuid.uuid4()), "time": "2026-01-01T00:00:00+00:00", "type": "no.such.event", "event_data": b""},
    )
    academy.play_and_wait(academy.passes(who, key))

    assert academy.holders(template) == [str(who.id)]
    assert system.status()["events"]["failed"] == failed_before + 2


def test_the_same_event_twice_counts_once_and_a_type_that_nobody_subscribed_to_is_ignored(academy: Academy, bus: Redis):
    system, key, who = academy.system, course(), learner()
    template = academy.template([requirement("pass", PASSED, ("course.course_key", "eq", key))])
    system.wait_until_idle()
    before = system.status()["events"]
    event = academy.passes(who, key)
    bus.xadd(TOPIC, enrollment(event))
    academy.play_and_wait(event, event)

    # The signal of the badge comes back on the same topic.
    after = system.status()["events"]
    expected = {"processed": before["processed"] + 1, "ignored": before["ignored"] + 2}
    assert after == before | expected
    assert len(academy.badges_at_credly(template)) == 1


def enrollment(passing: LmsEvent) -> dict[bytes, bytes]:
    """A stream entry: the learner of another event enrolls in its course."""
    signal = COURSE_ENROLLMENT_CREATED
    payload = {
        "user": passing.payload["user"],
        "course": passing.payload["course"],
        "mode": "honor",
        "is_active": True,
        "creation_date": passing.time.isoformat(),
        "created_by": None,
    }
    metadata = EventsMetadata(event_type=signal.event_type, id=uuid.uuid4(), time=passing.time)
    return encode(signal, event_data_for(signal, payload), metadata)


def test_a_consumer_and_workers_go_on_after_redis_was_away(academy: Academy, bus: Redis):
    """Redis comes back empty: what was stored before goes on, and new events are read."""
    system, key = academy.system, course()
    before, after = learner(), learner()
    template = academy.template([requirement("pass", PASSED, ("course.course_key", "eq", key))])
    academy.play_and_wait(academy.passes(before, key))
    bus.flushall()
    system.redis.stop()
    system.processes["consumer"].wait_for_output("tries again in")
    system.redis.start()
    academy.play(academy.passes(after, key))

    eventually(lambda: academy.holders(template) == sorted([str(before.id), str(after.id)]))
    assert system.processes["consumer"].running


PROCESSES = ("web", "consumer", "worker", "credly", "beat", "flower")


@pytest.fixture(scope="module")
def every_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("every-process")
    with System(folder, processes=PROCESSES, lms=False, database=server_of_run(folder / "database")) as running:
        yield running


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_stops_on_sigterm_within_ten_seconds(every_process: System, name: str):
    process = every_process.processes[name]
    process.send(signal.SIGTERM)
    assert process.wait(10) == 0
