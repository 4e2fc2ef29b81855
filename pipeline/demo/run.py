"""The demo from start to end."""

import time
from pathlib import Path

from rich.console import Console

from pipeline.demo import summary
from pipeline.demo.comparison import differences
from pipeline.demo.keep import keep, wait_for_interrupt
from pipeline.demo.observer import totals
from pipeline.demo.play import API_KEY_VARIABLE, configure, new_api_key, play
from pipeline.demo.scenario import BADGES_FILE, Badges, Scenario
from pipeline.demo.screen import Screen
from pipeline.embedded.system import PROJECT, System

PROCESSES = ("web", "consumer", "worker", "credly", "beat", "flower")
SHOWN = 10
"""Differences that are shown."""


def run(scenario: Scenario, badges: Badges, folder: Path, console: Console, *, keep_running: bool = False) -> bool:
    """Start the system, play the scenario, show the result, stop the system; returns whether all came as expected.

    With `keep_running` the system goes on until SIGINT, SIGTERM or SIGHUP.  However this ends, all processes are ended.

    Raises:
        RuntimeError: a part did not start or ended in the middle; the message has its last words.
        TimeoutError: something waits at some stage, and nothing moves any more.
    """
    began = time.monotonic()
    screen = Screen(console, totals(scenario.expectation))
    screen.say(f"{len(scenario.learners)} learners, seed {scenario.seed}. Logs and database: {folder}")
    screen.say("Starting Redis, a Credly emulator, an LMS side and every process of the Procfile ...")
    api_key = new_api_key()
    with System(folder, processes=PROCESSES, environment={API_KEY_VARIABLE: api_key}) as system:
        configure(system, badges, api_key)
        with screen:
            findings = play(system, scenario, screen.say, screen.show)
        found = differences(scenario.expectation, findings, badges)
        seconds = time.monotonic() - began
        screen.table(summary.rows(scenario.expectation, findings), summary.remarks(scenario, findings, seconds))
        screen.say(summary.failures(findings))
        _conclude(screen, found, folder)
        if keep_running:
            screen.say(keep(system))
            wait_for_interrupt()
        screen.say("Stopping ...")
    if not found and not keep_running:
        _suggest(screen)
    return not found


def _conclude(screen: Screen, found: list[str], folder: Path) -> None:
    if not found:
        screen.say("Every expected badge was issued, none twice.")
        return
    screen.say(f"{len(found)} difference(s) from what was expected:")
    for difference in found[:SHOWN]:
        screen.say(f"  {difference}")
    screen.say(f"Logs: {folder / 'logs'}")


def _suggest(screen: Screen) -> None:
    screen.say(
        "\nWhat to try next\n"
        "  make demo KEEP=1   leaves everything running: admin, status page, Flower, and commands to try\n"
        f"  {BADGES_FILE.relative_to(PROJECT)}   the badges of the demo as code, an example to copy from\n"
        "  README.md, docs/   how to run it for your own organization"
    )
