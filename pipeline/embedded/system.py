"""The whole system on one machine: Redis, database, Credly emulator, every process of the Procfile, and the LMS side."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import requests
from honcho.environ import parse_procfile

from pipeline.embedded.mysql import MySqlServer
from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import RedisServer, free_port

PROJECT = Path(__file__).resolve().parent.parent.parent
TOPIC = "learning-badges-lifecycle"
KEEP = ("--appendonly", "yes")
"""The bus outlives a restart of its server, as docs/brokers.md asks of every site."""


class System:
    """Starts and stops everything.  Use as a context manager; all it leaves is in `folder`.

    Args:
        folder: for databases, logs and sockets.
        processes: which processes of the Procfile, each once.
        lms: whether the LMS side listens for signals too.
        environment: variables over those that the parts need.
        database: the database server, started and stopped with the system; a SQLite file unless given.
    """

    def __init__(
        self,
        folder: Path,
        *,
        processes: Iterable[str] = ("consumer", "worker", "credly", "beat"),
        lms: bool = True,
        environment: Mapping[str, str] | None = None,
        database: PostgresServer | MySqlServer | None = None,
    ) -> None:
        self.folder = folder
        self._database = database
        self.redis = RedisServer(folder / "redis", *KEEP)
        self.port = free_port()
        self.flower_port = free_port()
        self.flower_login = f"admin:{secrets.token_urlsafe(12)}"
        self.lms_signals = folder / "lms-signals.jsonl"
        self._credly_port = free_port()
        self._names = tuple(processes)
        self._lms = lms
        self._overrides = dict(environment or {})
        self.processes: dict[str, ChildProcess] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": "only-for-this-machine-and-this-run",
            "DATABASE_URL": self._database.url if self._database else f"sqlite:///{self.folder / 'db.sqlite3'}",
            "REDIS_URL": self.redis.url,
            "BADGES_ENABLED": "true",
            "METRICS_OPEN": "true",
            "CREDLY_API_BASE_URL": f"{self.credly_url}v1/",
            "PORT": str(self.port),
            "FLOWER_PORT": str(self.flower_port),
            "FLOWER_BASIC_AUTH": self.flower_login,
            "LMS_SIGNALS_FILE": str(self.lms_signals),
            **self._overrides,
        }

    @property
    def credly_url(self) -> str:
        """Where the emulator answers."""
        return f"http://127.0.0.1:{self._credly_port}/"

    def start(self) -> Self:
        """Start all parts, the database migrated, and wait until each is ready.

        Raises:
            RuntimeError, TimeoutError: a part did not start; the message has its last words.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis.start()
        if self._database:
            self._database.start()
        self._start_emulator()
        self.manage("migrate", "--no-input", "-v", "0")
        commands = dict(parse_procfile((PROJECT / "Procfile").read_text()).processes)
        for name in self._names:
            self.start_process(name, commands[name])
        if self._lms:
            self.start_process("lms", _LMS_CONSUMER, DJANGO_SETTINGS_MODULE="pipeline.lms.settings")
        for name, process in self.processes.items():
            process.wait_for_output(_READY[name])
        return self

    def stop(self) -> None:
        """End everything this system started, all at once, and Redis and the database last.  May be repeated."""
        for process in self.processes.values():
            if process.running:
                process.send(signal.SIGTERM)
        for process in self.processes.values():
            process.stop()
        if self._database:
            self._database.stop()
        self.redis.stop()

    def start_process(self, name: str, command: list[str] | str, **variables: str) -> ChildProcess:
        """Start one more process in the system's environment; `name` must be new."""
        process = ChildProcess(
            name,
            command,
            folder=PROJECT,
            log=self.folder / "logs" / f"{name}.log",
            environment={**self.environment, "PS": f"{name}.1", **variables},
        )
        self.processes[name] = process
        process.start()
        return process

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a management command and return its standard output.

        Raises:
            RuntimeError: it failed; the message has what it said.
        """
        done = self.run_command(*arguments, **variables)
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stderr}{done.stdout}")
        return done.stdout

    def run_command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a management command whose exit status says more than whether it failed."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """What `pipeline_status --json` says."""
        status: dict[str, Any] = json.loads(self.manage("pipeline_status", "--json"))
        return status

    def wait_until_idle(self, seconds: float = 120, watch: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Return once nothing waits at any stage.

        Args:
            seconds: how long at the most.
            watch: told each status on the way.

        Raises:
            TimeoutError: something still waits; the message has the last status.
        """
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if watch:
                watch(status)
            if status["idle"]:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not idle after {seconds:.0f} s: {json.dumps(status)}")
            time.sleep(0.1)

    def credly(self, method: str, path: str, content: Any = None) -> Any:
        """Call the emulator's control interface: what Credly holds, and faults."""
        answer = requests.request(method, f"{self.credly_url}control/{path}", json=content, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def received_signals(self) -> list[dict[str, Any]]:
        """What the LMS side received so far, in order."""
        if not self.lms_signals.exists():
            return []
        return [json.loads(line) for line in self.lms_signals.read_text().splitlines()]

    def _start_emulator(self) -> None:
        command = [sys.executable, "manage.py", "credly_emulator", "--port", str(self._credly_port)]
        self.start_process("emulator", command).wait_for_output(_READY["emulator"])

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()


_LMS_CONSUMER = [
    sys.executable,
    "manage.py",
    "consume_events",
    "-t",
    TOPIC,
    "-g",
    "lms_dev",
    "--extra",
    json.dumps({"consumer_name": "lms_dev.consumer1", "check_backlog": True}),
]
_READY = {
    "emulator": "Credly emulator on",
    "web": "Booting worker",
    "consumer": "reads",
    "worker": "ready.",
    "credly": "ready.",
    "beat": "beat: Starting",
    "flower": "Visit me at",
    "lms": "Running consumer",
}
