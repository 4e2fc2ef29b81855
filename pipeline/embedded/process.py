"""One child process with a log of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.embedded.interruption import uninterrupted

STOP_SECONDS = 15
_AS_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"),
)
"""The user nobody, who keeps root's right to enter folders such as /root (access(2) heeds that right of another user's only
under the last option)."""


def not_as_root() -> tuple[str, ...]:
    """What to put before the command of a program that refuses to run as root; nothing for whoever is not."""
    return _AS_NOBODY if os.geteuid() == 0 else ()


class ChildProcess:
    """A program in a process group of its own; its output goes to `log`.

    Args:
        name: for messages and the log's name.
        command: program and arguments, or one line for the shell (as in a Procfile).
        folder: where it runs.
        log: file that its output is added to.
        environment: its whole environment.
    """

    def __init__(
        self, name: str, command: Sequence[str] | str, *, folder: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._folder = folder
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # `exec env` makes the program itself, not a shell before it, the process that signals reach; `env` takes the
        # variables that a Procfile line may begin with.
        command = (
            ["/bin/sh", "-c", f"exec env {self._command}"] if isinstance(self._command, str) else list(self._command)
        )
        with self.log.open("ab") as stream, uninterrupted():
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """Everything it wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_output(self, text: str, seconds: float = 30) -> None:
        """Return once it has written `text`.

        Raises:
            TimeoutError: it ended or did not write it; the message has the end of its output.
        """
        deadline = time.monotonic() + seconds
        while text not in self.output():
            if not self.running or time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not say {text!r}; its last words:\n{self.output()[-2000:]}")
            time.sleep(0.05)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.wait(seconds)

    def send(self, number: signal.Signals) -> None:
        """Send it, and not its children, a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL for it and all its children."""
        _kill_group(self.pid)
        self.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left after `STOP_SECONDS`.  May be repeated."""
        if self._process is None:
            return
        if self.running:
            self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        _kill_group(self._process.pid)
        self._process.wait(STOP_SECONDS)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
