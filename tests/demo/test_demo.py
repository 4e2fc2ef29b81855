"""The demo itself, as `make demo` runs it."""

import json
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
import requests

from pipeline.demo.keep import EXAMPLE_LEARNER
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
        [sys.executable, *arguments],
        cwd=PROJECT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "pipeline.settings"},
    )


@pytest.fixture(scope="module")
def all_at_once() -> Iterator[tuple[Ended, Ended, subprocess.Popen[str]]]:
    """A demo, one that expects a badge too many, and one that goes on running: at the same time, to save time."""
    demos = [
        _start("manage.py", *OPTIONS),
        _start("-c", WITH_ONE_BADGE_MORE),
        _start("manage.py", *OPTIONS, "--keep"),
    ]
    try:
        outputs = [demo.communicate(timeout=170)[0] for demo in demos[:2]]
        plain, spoiled = (Ended(demo.returncode, output) for demo, output in zip(demos[:2], outputs, strict=True))
        yield plain, spoiled, demos[2]
    finally:
        for demo in demos:
            demo.terminate()
        for demo in demos:
            demo.wait(30)


@pytest.fixture
def plain(all_at_once: tuple[Ended, Ended, subprocess.Popen[str]]) -> Ended:
    return all_at_once[0]


@pytest.fixture
def spoiled(all_at_once: tuple[Ended, Ended, subprocess.Popen[str]]) -> Ended:
    return all_at_once[1]


@pytest.fixture
def kept(all_at_once: tuple[Ended, Ended, subprocess.Popen[str]]) -> subprocess.Popen[str]:
    return all_at_once[2]


def test_every_expected_badge_is_issued(plain: Ended) -> None:
    assert plain.status == 0, plain.output
    assert "Every expected badge was issued, none twice." in plain.output
    for title in ("Badges issued at Credly", "Badges revoked at Credly", "Signals awarded at the LMS"):
        cells = re.search(rf"{title} *│ *(\d+) │ *(\d+) ", plain.output)
        assert cells, plain.output
        assert cells[1] == cells[2] != "0"
    assert "seed 11" in plain.output
    assert "What to try next" in plain.output


def test_credly_failed_on_the_way(plain: Ended) -> None:
    failures = re.search(r"Failures of Credly on the way *│ *│ *(\d+) ", plain.output)
    assert failures
    assert int(failures[1]) > 0


def test_a_badge_that_was_expected_and_not_issued_fails_the_demo(spoiled: Ended) -> None:
    assert spoiled.status == 1, spoiled.output
    assert "Credly holds 0 live badge(s) 'Mentor' of learner 1001, expected 1" in spoiled.output
    assert f"Logs: {spoiled.folder / 'logs'}" in spoiled.output
    assert "Every expected badge" not in spoiled.output


def test_nobody_is_warned_of_the_servers_that_the_demo_brings(plain: Ended) -> None:
    logs = list((plain.folder / "logs").glob("*.log"))
    assert len(logs) > 5
    assert [log.name for log in logs if "pipeline.redis_servers" in log.read_text()] == []


def test_nothing_is_left_running(plain: Ended, spoiled: Ended) -> None:
    assert _processes_of(plain.folder) == []
    assert _processes_of(spoiled.folder) == []


def test_a_demo_that_is_kept_runs_until_interrupted(kept: subprocess.Popen[str]) -> None:
    output = _read_until(kept, "Ctrl-C ends all.")
    status_page, admin, flower, emulator = (
        _found(rf"{title} +(http://127.0.0.1:\d+/\S*)", output)
        for title in ("status page", "admin", "Flower", "Credly emulator")
    )
    password = _found(r"Flower .* password (\S+)", output)
    assert requests.get(f"{status_page}readyz", timeout=10).status_code == 200
    assert "Badges" in requests.get(admin, timeout=10).text
    assert requests.get(flower, timeout=10).status_code == 401
    assert requests.get(flower, auth=("admin", password), timeout=10).status_code == 200
    assert requests.get(emulator, timeout=10).status_code == 200
    environment = _found(r"set -a; \. (.+); set \+a", output)
    command = f". {environment}; python manage.py badge_status --username {EXAMPLE_LEARNER} --json"
    told = subprocess.run(["/bin/sh", "-ac", command], cwd=PROJECT, env={}, capture_output=True, text=True, check=True)
    assert [badge["standing"] for badge in json.loads(told.stdout)["badges"]].count("revoked") == 1

    kept.send_signal(signal.SIGINT)
    rest, _ = kept.communicate(timeout=60)
    assert kept.returncode == 0, rest
    assert _processes_of(Ended(0, output).folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_cleanly(number: signal.Signals) -> None:
    demo = _start("manage.py", *OPTIONS)
    try:
        output = _read_until(demo, "Starting")
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


def _read_until(demo: subprocess.Popen[str], text: str) -> str:
    output = ""
    assert demo.stdout
    while text not in output:
        line = demo.stdout.readline()
        assert line, output
        output += line
    return output


def _found(pattern: str, output: str) -> str:
    match = re.search(pattern, output)
    assert match, output
    return match[1]


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
