import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from pipeline.embedded.redis import RedisServer
from pipeline.lms.events import CCX_PASSING, PASSING, LmsLearner, passing_event
from tests.lms.conftest import Bus

pytestmark = pytest.mark.system

EVENT = passing_event(
    LmsLearner(7, "ada", "ada@example.org", "Ada Lovelace"), "course-v1:A+B+C", True, datetime(2026, 8, 1, tzinfo=UTC)
)
LINE = json.dumps({"id": str(EVENT.id), "time": EVENT.time.isoformat(), "type": EVENT.type, "payload": EVENT.payload})


def test_made_up_events_reach_the_bus_as_those_of_the_lms(bus):
    ran = bus.produce("--learners", "3", "--course", "course-v1:A+B+C", "--course", "ccx-v1:A+B+C+ccx@1", "--failing")
    assert ran.returncode == 0, ran.stderr
    messages = bus.messages()
    assert Counter(message.type for message in messages) == {PASSING: 3, CCX_PASSING: 3}
    assert {message.source for message in messages} == {"openedx/lms/web"}
    assert not any(message.payload["is_passing"] for message in messages)
    assert ran.stdout.splitlines()[-1].startswith("Produced 6 events for 3 learners in ")


def test_the_printed_seed_plays_the_same_events_again(bus):
    first = bus.produce("--learners", "4")
    seed = first.stdout.split(".")[0].removeprefix("Seed ")
    assert bus.produce("--learners", "4", "--seed", seed).returncode == 0
    ids = [message.id for message in bus.messages()]
    assert ids[:4] == ids[4:]


def test_a_file_is_played_with_its_own_ids_and_times(bus, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text(LINE)
    ran = bus.produce("--file", str(file), "--repeat", "2")
    assert ran.returncode == 0, ran.stderr
    read = [(message.type, message.id, message.time, message.payload) for message in bus.messages()]
    assert read == [(EVENT.type, EVENT.id, EVENT.time, EVENT.payload)] * 2


def test_with_json_the_output_is_one_object(bus):
    ran = bus.produce("--file", "-", "--repeat", "3", "--rate", "1000", "--json", stdin=LINE)
    counts = json.loads(ran.stdout)
    assert counts.pop("seconds") >= 0
    assert counts == {"events": 3, "distinct": 1, "learners": 1, "seed": None}


def test_the_settings_of_the_lms_are_used_whatever_is_asked_for(bus):
    assert bus.produce("--learners", "1", "--settings", "pipeline.settings").returncode == 0
    assert [message.source for message in bus.messages()] == ["openedx/lms/web"]


def test_one_wrong_line_and_nothing_is_played(bus):
    ran = bus.produce("--file", "-", stdin=f"{LINE}\nnonsense\n")
    assert ran.returncode == 1
    assert ran.stderr.startswith("-:2: is not JSON")
    assert bus.messages() == []


def test_with_badges_switched_off_nothing_is_played(bus):
    ran = bus.produce("--learners", "1", BADGES_ENABLED="false")
    assert ran.returncode == 1
    assert "BADGES_ENABLED" in ran.stderr
    assert bus.messages() == []


def test_a_bus_that_is_away_is_one_clear_line(bus):
    ran = bus.produce("--learners", "2", REDIS_URL="redis://127.0.0.1:1/0")
    assert ran.returncode == 1
    assert ran.stdout == ""
    [line] = ran.stderr.splitlines()
    assert "0 of 2 events were produced" in line


def test_a_bus_that_refuses_events_fails_the_command_and_shows_no_person(tmp_path):
    with RedisServer(tmp_path, "--maxmemory", "1", "--maxmemory-policy", "noeviction") as full:
        ran = Bus(full.url).produce("--file", "-", stdin=LINE)
    assert ran.returncode == 1
    assert "0 of 1 events were produced" in ran.stderr
    assert not any(word in ran.stderr for word in ("ada@", "Ada", "Traceback"))


def test_events_trimmed_before_they_were_read_fail_the_command(bus):
    bus.client.xgroup_create(bus.stream, "slow", "0", mkstream=True)
    ran = bus.produce("--learners", "500", EVENT_BUS_REDIS_STREAM_MAX_LEN="100")
    assert ran.returncode == 1
    assert "had not read all: slow" in ran.stderr


def test_a_stream_that_is_long_enough_keeps_all(bus):
    bus.client.xgroup_create(bus.stream, "slow", "0", mkstream=True)
    ran = bus.produce("--learners", "500", EVENT_BUS_REDIS_STREAM_MAX_LEN="500")
    assert ran.returncode == 0, ran.stderr
    assert len(bus.messages()) == 500


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--learners"),
        (["--learners", "0"], "--learners"),
        (["--learners", "1", "--course", "Demo"], "--course"),
        (["--learners", "1", "--rate", "fast"], "--rate"),
        (["--learners", "1", "--file", "-"], "--file"),
        (["--file", "-", "--seed", "0"], "--seed"),
    ],
)
def test_wrong_arguments_are_named(bus, arguments, named):
    ran = bus.produce(*arguments, DJANGO_SETTINGS_MODULE="pipeline.lms.settings")
    assert ran.returncode == 2
    assert named in ran.stderr.splitlines()[-1]


def test_a_file_that_is_not_there_is_named(bus, tmp_path):
    ran = bus.produce("--file", str(tmp_path / "none.jsonl"))
    assert ran.returncode == 1
    assert "none.jsonl: No such file" in ran.stderr
