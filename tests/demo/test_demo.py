"""The demo itself, as `make demo` runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.demo.scenario import FEWEST_LEARNERS
from pipeline.embedded.system import PROJECT

pytestmark = pytest.mark.system

OPTIONS = ["demo", "--learners", str(FEWEST_LEARNERS), "--seed", "11"]
# The first story then promises a badge that no rule gives.
WITH_ONE_BADGE_MORE = f"""
import sys
from dataclasses import replace
from django.core.management import execute_from_command_line
from pipeline.demo import scenario
from pipeline.demo.stories import KEPT, MENTOR
first, *others = scenario.STORIES
scenario.STORIES = (replace(first, outcomes={{**first.outcomes, MENTOR: KEPT}}), *others)
execute_from_command_line(["manage.py", *{OPTIONS!r}])
"""


@dataclass(frozen=True)
class Ended:
    status: int
    output: str

    @property
    def folder(self) -> Path:
        found = re.search(r"Logs and database: (.+)", self.output)
        assert found, self.output
        return Path(found.group(1))


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "pipeline.settings"},
    )


@pytest.fixture(scope="module")
def two_at_once() -> Iterator[tuple[Ended, Ended]]:
    """A demo, and at the same time one that expects a badge too many."""
    demos = [_start("manage.py", *OPTIONS), _start("-c", WITH_ONE_BADGE_MORE)]
    try:
        outputs = [demo.communicate(timeout=170)[0] for demo in demos]
        yield tuple(Ended(demo.returncode, output) for demo, output in zip(demos, outputs, strict=True))  # type: ignore[misc]
    finally:
        for demo in demos:
            demo.terminate()
            demo.wait(30)


def test_every_expected_badge_is_issued(two_at_once: tuple[Ended, Ended]) -> None:
    demo, _ = two_at_once
    assert demo.status == 0, demo.output
    assert "Every expected badge was issued, none twice." in demo.output
    for title in ("Badges issued at Credly", "Badges revoked at Credly", "Signals awarded at the LMS"):
        cells = re.search(rf"{title} *│ *(\d+) │ *(\d+) ", demo.output)
        assert cells, demo.output
        assert cells[1] == cells[2] != "0"
    assert "seed 11" in demo.output
    assert "What to try next" in demo.output


def test_credly_failed_on_the_way(two_at_once: tuple[Ended, Ended]) -> None:
    failures = re.search(r"Failures of Credly on the way *│ *│ *(\d+) ", two_at_once[0].output)
    assert failures
    assert int(failures[1]) > 0


def test_a_badge_that_was_expected_and_not_issued_fails_the_demo(two_at_once: tuple[Ended, Ended]) -> None:
    _, demo = two_at_once
    assert demo.status == 1, demo.output
    assert "Credly holds 0 live badge(s) 'Mentor' of learner 1001, expected 1" in demo.output
    assert f"Logs: {demo.folder / 'logs'}" in demo.output
    assert "Every expected badge" not in demo.output


def test_nothing_is_left_running(two_at_once: tuple[Ended, Ended]) -> None:
    assert [_processes_of(demo.folder) for demo in two_at_once] == [[], []]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_cleanly(number: signal.Signals) -> None:
    demo = _start("manage.py", *OPTIONS)
    try:
        output = ""
        assert demo.stdout
        while "Starting" not in output:
            line = demo.stdout.readline()
            assert line, output
            output += line
        folder = Ended(0, output).folder
        _wait_for_processes(folder)
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 130, output + rest
    assert "Interrupted; all is stopped." in rest
    assert "Traceback" not in rest
    assert _processes_of(folder) == []


def test_too_few_learners_are_a_usage_error() -> None:
    demo = _start("manage.py", "demo", "--learners", "1")
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert f"at least {FEWEST_LEARNERS}" in output


def _wait_for_processes(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while len(_processes_of(folder)) < 5:
        assert time.monotonic() < deadline, "the demo starts no processes"
        time.sleep(0.1)


def _processes_of(folder: Path) -> list[str]:
    """Processes whose environment or command names a run's folder (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said:
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found
