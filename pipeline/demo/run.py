"""The demo from start to end."""

import secrets
import signal
import sys
import threading
import time
from pathlib import Path

from rich.console import Console

from pipeline.demo.comparison import differences
from pipeline.demo.findings import AWARDED, REVOKED, Findings
from pipeline.demo.play import API_KEY_VARIABLE, configure, new_api_key, play
from pipeline.demo.progress import totals
from pipeline.demo.scenario import BADGES_FILE, Badges, Expectation, Scenario
from pipeline.demo.screen import Row, Screen
from pipeline.embedded.system import PROJECT, System

PROCESSES = ("web", "consumer", "worker", "credly", "beat", "flower")
SHOWN = 10
"""Differences that are shown."""


def run(scenario: Scenario, badges: Badges, folder: Path, console: Console, *, keep: bool = False) -> bool:
    """Start the system, play the scenario, show the result, stop the system; returns whether all came as expected.

    With `keep` the system goes on running until SIGINT or SIGTERM.  All processes are ended however this ends.

    Raises:
        RuntimeError: a part did not start or ended in the middle; the message has its last words.
        TimeoutError: something still waits at some stage after two minutes.
    """
    began = time.monotonic()
    screen = Screen(console, totals(scenario.expectation))
    screen.say(f"Demo with {len(scenario.learners)} learners, seed {scenario.seed}; logs and database: {folder}")
    screen.say("Starting Redis, the Credly emulator, an LMS side and every process of the Procfile ...")
    api_key = new_api_key()
    with System(folder, processes=PROCESSES, environment={API_KEY_VARIABLE: api_key}) as system:
        configure(system, badges, api_key)
        started = time.monotonic()
        with screen:
            findings = play(system, scenario, screen.say, screen.show)
        played = time.monotonic()
        found = differences(scenario.expectation, findings, badges)
        seconds = f"{played - began:.0f} s ({started - began:.0f} s of it to start)"
        screen.table(_rows(scenario.expectation, findings), _remarks(scenario, findings, seconds))
        _conclude(screen, found, folder)
        if keep:
            _keep(system, screen, scenario)
        screen.say("Stopping ...")
    if not keep and not found:
        _suggest(screen, scenario)
    return not found


def _rows(expectation: Expectation, findings: Findings) -> list[Row]:
    events = findings.status["events"]
    return [
        ("Events that met a rule", expectation.processed, events["processed"]),
        ("Events ignored (signals on the shared topic included)", expectation.ignored + expectation.signals, events["ignored"]),
        ("Messages that are no events, set aside", expectation.failed, events["failed"]),
        ("Badges issued at Credly", expectation.issued, findings.held()),
        ("Badges revoked at Credly", expectation.revoked, findings.held("revoked")),
        ("Badges refused (learners without an address)", expectation.refused, findings.status["credly"]["failed"]),
        ("Signals awarded, received by the LMS", expectation.issued, findings.told(AWARDED)),
        ("Signals revoked, received by the LMS", expectation.revoked, findings.told(REVOKED)),
    ]


def _remarks(scenario: Scenario, findings: Findings, seconds: str) -> dict[str, str]:
    failed = ", ".join(f"{name} {number}" for name, number in sorted(findings.failures.items()))
    return {
        "Learner events published (repeats included)": str(scenario.published),
        "Failures of Credly on the way": f"{sum(findings.failures.values())}: {failed}",
        "Time taken": seconds,
    }


def _conclude(screen: Screen, found: list[str], folder: Path) -> None:
    if not found:
        screen.say("Every expected badge was issued, none twice.")
        return
    screen.say(f"{len(found)} difference(s) from what was expected:")
    for difference in found[:SHOWN]:
        screen.say(f"  {difference}")
    screen.say(f"The logs are in {folder / 'logs'}")


def _suggest(screen: Screen, scenario: Scenario) -> None:
    screen.say(
        "\nWhat to try next\n"
        "  make demo KEEP=1         leave everything running: admin, status page, Flower, Credly emulator\n"
        f"  {BADGES_FILE.relative_to(PROJECT)}   the badge configuration of the demo; change it, see what fails\n"
        f"  python manage.py demo --learners 1000 --seed {scenario.seed}\n"
        "  README.md and docs/      how to run it for your own organization"
    )


def _keep(system: System, screen: Screen, scenario: Scenario) -> None:
    """Create an administrator, say where everything is, and wait for SIGINT or SIGTERM."""
    password = secrets.token_urlsafe(12)
    system.manage(
        "createsuperuser", "--no-input", "--username", "admin", "--email", "admin@example.org",
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    settings = system.folder / "environment.sh"
    _write_environment(system, settings)
    web = f"http://127.0.0.1:{system.port}"
    screen.say(
        "\nEverything is running:\n"
        f"  status page      {web}/         login admin, password {password}\n"
        f"  admin            {web}/admin/   the same login\n"
        f"  Flower           http://127.0.0.1:{system.flower_port}/   login {system.flower_login.replace(':', ', password ')}\n"
        f"  Credly emulator  {system.credly_url}\n"
        "\nWhat to try next, in another terminal\n"
        f"  set -a; . '{settings}'; set +a\n"
        f"  python manage.py badge_status --username {_learner_to_look_at(scenario)}\n"
        "  python manage.py pipeline_status\n"
        f"  python manage.py import_badges {BADGES_FILE.relative_to(PROJECT)} --dry-run\n"
        "  python manage.py produce_events --learners 10\n"
        "\nCtrl-C ends all."
    )
    _wait_for_signal()


def _learner_to_look_at(scenario: Scenario) -> str:
    """One who lost a badge and earned it again."""
    return next(
        learner.username
        for learner in scenario.learners
        if any(
            outcome.live and outcome.revoked for (id_, _), outcome in scenario.expectation.badges.items() if id_ == learner.id
        )
    )


def _write_environment(system: System, file: Path) -> None:
    """The environment of the processes, for a shell; it holds this run's keys, so only its owner may read it."""
    file.touch(mode=0o600)
    lines = (f"{name}='{value}'" for name, value in system.environment.items())
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _wait_for_signal() -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()
    sys.stdout.flush()
