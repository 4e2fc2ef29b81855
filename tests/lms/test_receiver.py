import json
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from openedx_events.data import EventsMetadata
from openedx_events.learning.signals import BADGE_AWARDED, BADGE_REVOKED

from pipeline.bus.codec import encode, event_data_for
from pipeline.lms.events import LmsLearner, passing_event
from tests.bus.examples import BADGE
from tests.lms.conftest import ROOT, TOPIC

pytestmark = pytest.mark.system


def entry(signal, id):
    return encode(signal, event_data_for(signal, BADGE), EventsMetadata(event_type=signal.event_type, id=id))


@contextmanager
def stock_consumer(bus, file, log):
    """The documented command, under the settings of the LMS."""
    command = [sys.executable, str(ROOT / "manage.py"), "consume_events", "-t", TOPIC, "-g", "lms_dev"]
    extra = ["--extra", '{"consumer_name": "lms_dev.consumer1", "check_backlog": true}']
    environment = bus.environment | {
        "DJANGO_SETTINGS_MODULE": "pipeline.lms.settings",
        "LMS_SIGNALS_FILE": str(file),
    }
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *extra], env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def wait_for_lines(file, count, process):
    deadline = time.monotonic() + 60
    while not (file.exists() and len(lines := file.read_text().splitlines()) >= count):
        assert process.poll() is None, "the consumer ended"
        assert time.monotonic() < deadline, "the signals did not arrive"
        time.sleep(0.02)
    return [json.loads(line) for line in lines]


def test_the_lms_notes_every_signal_that_its_stock_consumer_reads(bus, tmp_path):
    awarded, revoked = uuid4(), uuid4()
    file, log = tmp_path / "signals.jsonl", tmp_path / "log"
    learner = LmsLearner(7, "ada", "ada@example.org", "Ada Lovelace")
    event = passing_event(learner, "course-v1:A+B+C", True, datetime.now(UTC))
    bus.client.xadd(bus.stream, encode(event.signal, event.data, event.metadata))
    bus.client.xadd(bus.stream, entry(BADGE_AWARDED, awarded))
    with stock_consumer(bus, file, log) as process:
        wait_for_lines(file, 1, process)
        bus.client.xadd(bus.stream, entry(BADGE_REVOKED, revoked))
        bus.client.xadd(bus.stream, entry(BADGE_REVOKED, revoked))
        noted = wait_for_lines(file, 3, process)
    badge = {"badge": BADGE["uuid"], "template": BADGE["template"]["uuid"], "learner": 7}
    assert noted == [
        {"type": BADGE_AWARDED.event_type, "id": str(awarded), **badge},
        {"type": BADGE_REVOKED.event_type, "id": str(revoked), **badge},
        {"type": BADGE_REVOKED.event_type, "id": str(revoked), **badge},
    ]
    assert "The LMS received" in log.read_text()
    assert not any(word in file.read_text() + log.read_text() for word in ("ada@", "Ada"))


def test_the_settings_of_the_lms_pass_all_checks(bus):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check", "--settings", "pipeline.lms.settings"],
        env=bus.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
