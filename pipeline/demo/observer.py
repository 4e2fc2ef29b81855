"""How far the running demo is: what the pipeline, Credly and the LMS side say."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from pipeline.demo.findings import without_repeats
from pipeline.demo.scenario import Expectation
from pipeline.embedded.system import System

STUCK_SECONDS = 90
"""Longer than any one thing waits here: a lost nudge is repeated after 30 s, a dead worker's claim runs out after 40 s."""

SIGNALS_SECONDS = 20
LOOK_EVERY = 0.1

STORED = "Messages stored"
EVALUATED = "Events evaluated"
ISSUED = "Badges issued"
REVOKED = "Badges revoked"
SIGNALS = "Signals at the LMS"

Show = Callable[[Mapping[str, int]], None]


def totals(expectation: Expectation) -> dict[str, int]:
    """Where each number ends.  The signals come back to us on the shared topic and are stored and evaluated too."""
    messages = expectation.events + expectation.signals
    return {
        STORED: messages,
        EVALUATED: messages,
        ISSUED: expectation.issued,
        REVOKED: expectation.revoked,
        SIGNALS: expectation.signals,
    }


class Observer:
    """Watches a running system and shows how far it is.  Use as a context manager.

    Every look also sees whether all processes still run, and raises RuntimeError with the last words of one that ended.
    """

    def __init__(self, system: System, show: Show) -> None:
        self._system = system
        self._show = show
        self._shown: dict[str, int] = {}
        self._file = system.folder / "status.json"

    def wait_until_idle(self, since: float, stored: int) -> None:
        """Return once nothing waits at any stage.

        Args:
            since: Unix time; what was read before does not count.
            stored: at least so many messages must be in the inbox.

        Raises:
            TimeoutError: something waits, and no number has changed for `STUCK_SECONDS`.
        """
        moved, shown = time.monotonic(), self._shown
        while True:
            reading = self._look()
            if reading and reading["began"] >= since and _is_idle(reading["status"], stored):
                return
            if self._shown != shown:
                moved, shown = time.monotonic(), self._shown
            if time.monotonic() > moved + STUCK_SECONDS:
                raise TimeoutError(f"Nothing moved for {STUCK_SECONDS} s, and something waits: {json.dumps(reading)}")
            time.sleep(LOOK_EVERY)

    def wait_for_signals(self) -> dict[str, Any]:
        """The status once the LMS received all that we sent, or after `SIGNALS_SECONDS`: what is missing is told later.

        Raises:
            TimeoutError: the status could not be read.
        """
        deadline = time.monotonic() + SIGNALS_SECONDS
        while True:
            reading = self._look()
            late = time.monotonic() > deadline
            if reading and (late or self._received() >= reading["status"]["signals"]["sent"]):
                status: dict[str, Any] = reading["status"]
                return status
            if late:
                raise TimeoutError("the pipeline's status could not be read")
            time.sleep(LOOK_EVERY)

    def _look(self) -> dict[str, Any] | None:
        """The newest reading, shown; None before the first."""
        for process in self._system.processes.values():
            if not process.running:
                raise RuntimeError(f"The process {process.name} ended; its last words:\n{process.output()[-2000:]}")
        if not self._file.exists():
            return None
        reading: dict[str, Any] = json.loads(self._file.read_text())
        status = reading["status"]
        messages = sum(status["events"].values())
        self._shown = {
            STORED: messages,
            EVALUATED: messages - status["events"]["received"],
            ISSUED: status["credly"]["issued"] + status["credly"]["revoked"],
            REVOKED: status["credly"]["revoked"],
            SIGNALS: self._received(),
        }
        self._show(self._shown)
        return reading

    def _received(self) -> int:
        return len(without_repeats(self._system.received_signals()))

    def __enter__(self) -> Self:
        self._system.start_process("status", [sys.executable, "-m", "pipeline.demo.watch", str(self._file)])
        return self

    def __exit__(self, *_: object) -> None:
        self._system.processes.pop("status").stop()


def _is_idle(status: Mapping[str, Any], stored: int) -> bool:
    return bool(status["idle"]) and sum(status["events"].values()) >= stored
