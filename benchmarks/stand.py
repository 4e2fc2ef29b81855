"""The system on a test stand: as many of each process as one likes, held and let go at one moment, watched from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from honcho.environ import parse_procfile
from redis import Redis

from benchmarks import load, usage
from benchmarks.ledger import SQLITE, Ledger
from benchmarks.load import template_id
from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.process import ChildProcess
from pipeline.embedded.system import PROJECT, TOPIC, System

GROUP = "credentials_dev"
QUEUES = "evaluate,persist,emit,housekeeping"
READY = {"consumer": "reads", "beat": "beat: Starting", "floor": "reads"}
AT_CREDLY = 20
"""Templates that Credly knows, the first ones: events may match these."""

UNLIMITED = 1_000_000
"""Calls per second that our own limit allows: it takes part, and is not what is measured."""


class Stand(System):
    """Redis, a database, the emulator, and the processes of the Procfile in the numbers given.

    Bus, broker and the broker of the no-op tasks are databases 0, 1 and 2 of one Redis server.

    Args:
        folder: for all that it leaves.
        database: `sqlite` or `postgresql`.
        processes: how many of each kind of the Procfile.
        children: worker processes in each `worker` (Celery's own `-c`).
        calls_at_once: calls to Credly at once in each `credly`.
        templates: how many are active.
        environment: further variables.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        processes: Mapping[str, int],
        *,
        children: int = 1,
        calls_at_once: int = 20,
        templates: int = AT_CREDLY,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, processes=(), lms=False, environment=environment)
        self.organization = str(uuid.uuid4())
        self.key = f"key-{uuid.uuid4()}"
        self._postgres = PostgresServer(folder / "postgres", "-c", "fsync=on") if database == "postgresql" else None
        self._numbers = dict(processes)
        self._children = children
        self._calls_at_once = calls_at_once
        self._templates = templates
        self.learners = 0
        self.bus = Redis.from_url(self._redis_url(0))
        self.broker = Redis.from_url(self._redis_url(1))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        return {
            **super().environment,
            "DATABASE_URL": self.database_url,
            "EVENT_BUS_REDIS_CONNECTION_URL": self._redis_url(0),
            "CELERY_BROKER_URL": self._redis_url(1),
            "EVENT_BUS_REDIS_STREAM_MAX_LEN": str(10**9),
            "WORKER_CONCURRENCY": str(self._children),
            "CREDLY_CONCURRENCY": str(self._calls_at_once),
            "CREDLY_RATE_LIMIT": str(UNLIMITED),
        } | self._overrides

    @property
    def database_url(self) -> str:
        """The database, as `DATABASE_URL` has it."""
        return self._postgres.url if self._postgres else f"{SQLITE}{self.folder / 'db.sqlite3'}"

    def start(self) -> Self:
        """Start all parts, open the school, and wait until every process is ready and has seen events."""
        if self._postgres:
            self._postgres.start()
        super().start()
        self.ledger = Ledger(self.database_url)
        self._open_school()
        commands = dict(parse_procfile((PROJECT / "Procfile").read_text()).processes)
        for kind, number in self._numbers.items():
            for each in range(1, number + 1):
                self.start_process(f"{kind}.{each}", commands[kind])
        self.wait_until_ready()
        return self

    def stop(self) -> None:
        """End everything at once.  May be repeated."""
        for process in self.processes.values():
            self._signal(process, signal.SIGKILL)
        if hasattr(self, "ledger"):
            self.ledger.close()
        self.bus.close()
        self.broker.close()
        super().stop()
        if self._postgres:
            self._postgres.stop()

    def worker(self, name: str, queues: str, app: str = "pipeline", **variables: str) -> None:
        """Start one more `worker` process of the Procfile, for these queues."""
        command = dict(parse_procfile((PROJECT / "Procfile").read_text()).processes)["worker"]
        self.start_process(name, command.replace(QUEUES, queues).replace("-A pipeline", f"-A {app}"), **variables)

    def noop(self, workers: int, children: int = 1) -> None:
        """Start `benchmarks.noop` in place of the pipeline: as many `worker` processes, and one `credly`."""
        credly = dict(parse_procfile((PROJECT / "Procfile").read_text()).processes)["credly"]
        environment = {"CELERY_BROKER_URL": self.noop_url, "WORKER_CONCURRENCY": str(children)}
        for each in range(1, workers + 1):
            self.worker(f"noop.{each}", QUEUES, "benchmarks.noop", **environment)
        self.start_process("noop.credly", credly.replace("-A pipeline", "-A benchmarks.noop"), **environment)

    def floor(self, what: str) -> None:
        """Start one of `benchmarks.floors`' consumers."""
        self.start_process(f"floor.{what}", [sys.executable, "-m", "benchmarks.floors", what])

    def run(self, module: str, *arguments: str) -> str:
        """Run a module of ours in the stand's environment; returns what it wrote.

        Raises:
            RuntimeError: it failed; the message has what it said.
        """
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def wait_until_ready(self) -> None:
        """Return once all processes have said that they are ready."""
        for name, process in self.processes.items():
            if name != "emulator":
                process.wait_for_output(READY.get(name.partition(".")[0], "ready."), 60)

    def names(self, *kinds: str) -> list[str]:
        """The processes of these kinds."""
        return [name for name in self.processes if name.partition(".")[0] in kinds or name in kinds]

    def hold(self, *kinds: str) -> None:
        """These processes stand still until `go`."""
        for name in self.names(*kinds):
            self._signal(self.processes[name], signal.SIGSTOP)

    def go(self, *kinds: str) -> float:
        """They go on, and the clock with them; returns its time, as `time.monotonic`."""
        started = time.monotonic()
        for name in self.names(*kinds):
            self._signal(self.processes[name], signal.SIGCONT)
        return started

    def matching(self, number: int) -> list[load.Message]:
        """Events of learners who were not seen before, each of whom earns one badge."""
        courses = [load.course(each) for each in range(1, min(self._templates, AT_CREDLY) + 1)]
        made = load.messages(number, courses, self.learners + 1)
        self.learners += number
        return made

    def publish(self, messages: Sequence[load.Message]) -> bytes:
        """Put events on the bus; returns the last one's position."""
        return load.publish(self.bus, messages)

    def acknowledged(self, last: bytes, group: str = GROUP) -> bool:
        """Whether a group has acknowledged everything up to this position."""
        rows: list[dict[str, Any]] = self.bus.xinfo_groups(TOPIC)
        row = next((row for row in rows if row["name"] == group.encode()), None)
        if row is None or _key(row["last-delivered-id"]) < _key(last):
            return False
        if not row["pending"]:
            return True
        oldest: Any = self.bus.xpending(TOPIC, group)
        return oldest["min"] is None or _key(oldest["min"]) > _key(last)

    def worked_off(self, last: bytes) -> bool:
        """Whether nothing waits at any stage of what was published up to this position."""
        return self.acknowledged(last) and not self.ledger.waiting()

    def settled(self) -> bool:
        """Whether nothing waits at any stage, our own signals that came back over the bus included."""
        newest: Any = self.bus.xrevrange(TOPIC, count=1)
        return not newest or (self.worked_off(newest[0][0]) and self.bus.xrevrange(TOPIC, count=1) == newest)

    def until(self, condition: Callable[[], bool], seconds: float = 120, every: float = 0.005) -> float:
        """Wait until it is true; returns the time then, as `time.monotonic`.

        Raises:
            TimeoutError: it never was; the message says what waits.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"not after {seconds:.0f} s: {self.ledger.counts('event', 'status')}; see {self.folder}"
                )
            time.sleep(every)
        return time.monotonic()

    def template(self, number: int) -> uuid.UUID:
        """The id of template `number`, from 1, at Credly and here."""
        return template_id(self.organization, number)

    def activate(self, templates: int) -> None:
        """So many templates are active from now on."""
        self.run("benchmarks.school", "activate", "--templates", str(templates))

    def forget_read(self, last: bytes) -> None:
        """Trim the stream, but for the last entry, which shows each group that nothing is missing."""
        self.bus.xtrim(TOPIC, minid=last, approximate=False)

    def pids(self) -> dict[str, int]:
        """The first process of each part."""
        pids = {name: process.pid for name, process in self.processes.items()} | {"redis": self.redis.pid}
        return pids | ({"postgresql": self._postgres.pid} if self._postgres else {})

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far by kind of process."""
        return usage.cpu_seconds(self.pids())

    def resident_mib(self) -> dict[str, float]:
        """Memory now by process."""
        return usage.resident_mib(self.pids())

    @property
    def noop_url(self) -> str:
        """The broker of the empty tasks."""
        return self._redis_url(2)

    def noop_broker(self) -> Redis:
        """A connection to it."""
        return Redis.from_url(self.noop_url)

    def calls(self) -> list[float]:
        """When each call to issue a badge came to Credly, in seconds since 1970."""
        requests = self.credly("GET", "requests?method=POST")["requests"]
        return [datetime.fromisoformat(call["time"]).timestamp() for call in requests]

    def _open_school(self) -> None:
        self.run(
            "benchmarks.school",
            *("plant", "--organization", self.organization, "--key", self.key, "--templates", str(self._templates)),
        )
        self.credly("POST", "organizations", {"id": self.organization, "name": "Bench"})
        self.credly("POST", "tokens", {"organization": self.organization, "token": self.key})
        for each in range(1, min(self._templates, AT_CREDLY) + 1):
            template = {"id": str(self.template(each)), "organization": self.organization, "name": f"Badge {each}"}
            self.credly("POST", "templates", template)

    def _redis_url(self, database: int) -> str:
        return f"{self.redis.url[:-1]}{database}"

    def _signal(self, process: ChildProcess, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _key(position: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = position.partition(b"-")
    return int(milliseconds), int(sequence or 0)


def as_json(text: str) -> Any:
    """The JSON object in the last line that a process wrote."""
    return json.loads(text.strip().splitlines()[-1])
