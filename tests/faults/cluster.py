"""The whole system, each process several times, and a supervisor that restarts what died, as a platform would."""

import json
import os
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from honcho.environ import parse_procfile
from redis import Redis

from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import RedisServer
from pipeline.embedded.system import PROJECT, TOPIC, System
from pipeline.lms.events import LmsEvent
from pipeline.management.commands.reconcile import DIFFERENCES_FOUND
from tests.faults import pace, switchboard
from tests.faults.clock import Clock
from tests.faults.databases import OF_RUN, Database
from tests.faults.fuses import Blow, Fuse, arm
from tests.faults.school import School

GROUP = "credentials_dev"
SMALL = {"consumer": 1, "worker": 1, "credly": 1, "beat": 1}
LARGE = {"consumer": 2, "worker": 2, "credly": 2, "beat": 2, "web": 1}
READY = {"consumer": "reads", "worker": "ready.", "credly": "ready.", "beat": "beat: Starting", "web": "Booting worker"}
PAUSE_SECONDS = pace.CLAIM_SECONDS + 2
KEEP = ("--appendonly", "yes", "--appendfsync", "always")
"""What the Redis server has acknowledged survives it, as the bus' must."""

T = TypeVar("T")


class Cluster(System):
    """The system under fire.  Bus and broker are two databases of its Redis server: `bus` and `broker`.

    Args:
        folder: for all that it leaves.
        numbers: how many of each process.
        quick: whether waits are short (`pace`).
        seed: of its supervisor's delays, and for whoever draws anything about it.
        allow_duplicates: whether Credly's own net is off.
        database: makes the database, given the folder; that of `make test DB=...` unless given.
        redis_program: the program of the Redis server; the usual one unless given.
        own_clock: whether its processes go by `clock`, which can be set.
    """

    def __init__(
        self,
        folder: Path,
        *,
        numbers: Mapping[str, int] = SMALL,
        quick: bool = True,
        seed: int = 0,
        allow_duplicates: bool = True,
        database: Callable[[Path], Database] = OF_RUN,
        redis_program: str | None = None,
        own_clock: bool = False,
    ) -> None:
        self.database = database(folder)
        super().__init__(folder, processes=(), lms=False, database=self.database.server)
        self.seed = seed
        self.draw = random.Random(seed)
        self.restarts = 0
        self.board = folder / "switchboard"
        self.clock = Clock(folder / "clock")
        self.redis = RedisServer(folder / "redis", *KEEP, program=redis_program)
        self.bus = Redis.from_url(f"{self.redis.url[:-1]}0")
        self.broker = Redis.from_url(f"{self.redis.url[:-1]}1")
        self.school = School(self, allow_duplicates=allow_duplicates)
        self._numbers = dict(numbers)
        self._quick = quick
        self._own_clock = own_clock
        self._supervised: dict[str, ChildProcess] = {}
        self._dismissed: dict[str, ChildProcess] = {}
        self._fuses: list[Fuse] = []
        self._restart_at: dict[str, float] = {}
        self._continue_at: dict[int, float] = {}
        self._groups: set[int] = set()
        self._log_starts: dict[str, int] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        return {
            **super().environment,
            "DATABASE_URL": self.database.url,
            "EVENT_BUS_REDIS_CONNECTION_URL": f"{self.redis.url[:-1]}0",
            "CELERY_BROKER_URL": f"{self.redis.url[:-1]}1",
            "TMPDIR": str(self.folder),  # who is killed leaves files there
            "WORKER_CONCURRENCY": "2",
            "CREDLY_CONCURRENCY": "4",
            switchboard.VARIABLE: str(self.board),
            pace.VARIABLE: pace.QUICK if self._quick else "as in production",
            **(self.clock.environment if self._own_clock else {}),
        }

    def start(self) -> Self:
        """Start all parts, open the school, and wait until every process is ready."""
        super().start()
        commands = dict(parse_procfile((PROJECT / "Procfile").read_text()).processes)
        for kind, number in self._numbers.items():
            for each in range(1, number + 1):
                name = f"{kind}.{each}"
                self._supervised[name] = self.start_process(name, _with_points(commands[kind]))
                self._groups.add(self._supervised[name].pid)
        self.school.open()
        self.wait(lambda: set(self.ready()) == set(self._supervised))
        return self

    def start_process(self, name: str, command: list[str] | str, **variables: str) -> ChildProcess:
        """As `System` does; but Credly's clock is its own."""
        if name == "emulator":
            variables["LD_PRELOAD"] = ""
        return super().start_process(name, command, **variables)

    def stop(self) -> None:
        """End everything at once: nobody waits for what it might hand back.  May be repeated."""
        for group in self._groups:
            _signal_group(group, signal.SIGKILL)
        super().stop()
        self.bus.close()
        self.broker.close()

    def names(self, kind: str = "") -> list[str]:
        """The supervised processes of a kind."""
        return [name for name in self._supervised if name.startswith(kind)]

    def ready(self) -> list[str]:
        """Those of them that run, are not paused, and have said that they are ready since they were started."""
        return [name for name, process in self._supervised.items() if process.running and self._is_ready(name)]

    def tend(self) -> None:
        """What a supervisor does: start again what died, a drawn while later; continue what was paused for long enough."""
        now = time.monotonic()
        for fuse in [fuse for fuse in self._fuses if fuse.blown()]:
            self._fuses.remove(fuse)
            if fuse.blow is Blow.PAUSE and (blown := fuse.blown()):
                self._continue_at[blown.group] = now + PAUSE_SECONDS
        for group in [group for group, at in self._continue_at.items() if at <= now]:
            del self._continue_at[group]
            _signal_group(group, signal.SIGCONT)
        for name, process in self._supervised.items():
            if not process.running:
                at = self._restart_at.setdefault(name, now + self.draw.uniform(0, 1))
                if at <= now:
                    self._restart(name)

    def wait(self, condition: Callable[[], T], seconds: float = 60) -> T:
        """What `condition` returns once that is true; the supervisor works meanwhile.

        Raises:
            TimeoutError: it never was; the message says what it returned last.
        """
        deadline = time.monotonic() + seconds
        while not (seen := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not after {seconds:.0f} s; last seen: {seen!r}")
            self.tend()
            time.sleep(0.05)
        return seen

    def settle(self, seconds: float = 90) -> list[str]:
        """Take away what fuses are left; return once nothing is paused, all run and nothing waits.

        After `seconds` it returns what still waits.
        """
        for fuse in self._fuses:
            fuse.disarm()
        try:
            self.wait(lambda: not self._continue_at and len(self.ready()) == len(self._supervised), seconds)
            self.wait(lambda: not self.waiting(), seconds)
        except TimeoutError:
            return self.waiting()
        self._fuses.clear()
        return []

    def waiting(self) -> list[str]:
        """What waits at any stage, read from the database, the bus and, of webhooks that it will post again, from Credly.

        In the order of an event's way, and round once more for our own signals, which come back as events: what moves on
        while we look is then seen at a later stage, and never at none.
        """
        received = "SELECT COUNT(*) FROM pipeline_event WHERE status = 'received'"
        undelivered = self.credly("GET", "webhooks?event_type=none")["waiting"]
        queries = {
            "webhook(s) waiting": "SELECT COUNT(*) FROM pipeline_webhook WHERE state = 'waiting'",
            "event(s) received": received,
            "badge(s) due": "SELECT COUNT(*) FROM pipeline_badge WHERE due_at IS NOT NULL",
            "signal(s) pending": "SELECT COUNT(*) FROM pipeline_signal WHERE state = 'pending'",
        }
        unread = self._unread()
        counts = {what: self.query(sql)[0][0] for what, sql in queries.items()}
        counts["webhook(s) undelivered"] = undelivered
        counts["message(s) unread"] = max(unread, self._unread())
        counts["event(s) received"] = max(counts["event(s) received"], self.query(received)[0][0])
        return [f"{number} {what}" for what, number in counts.items() if number]

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of the database, which is opened for reading only; `%s` stands for each of the values."""
        return self.database.query(sql, values)

    def gaps(self) -> list[dict[str, Any]]:
        """What our own status says that the bus lost, the newest first."""
        found: list[dict[str, Any]] = self.status()["bus"]["gaps"]
        return found

    def receive_webhooks(self, organization: str) -> None:
        """Have Credly post an organization's webhooks to our `web` process, and again soon what got no 200."""
        self.credly("PATCH", "switches", {"webhook_time_factor": 0.01})
        url = f"http://127.0.0.1:{self.port}/badges/credly/webhook/"
        self.credly("PATCH", f"organizations/{organization}", {"webhook_url": url})

    def reconcile(self, organization: str) -> list[dict[str, Any]]:
        """What our own comparison of an organization's badges with Credly finds to differ.

        Raises:
            RuntimeError: it could not be made; the message has what it said.
        """
        done = self.run_command("reconcile", "--organization_id", organization, "--json")
        if done.returncode not in (0, DIFFERENCES_FOUND):
            raise RuntimeError(f"manage.py reconcile failed:\n{done.stderr}{done.stdout}")
        [report] = json.loads(done.stdout)["organizations"]
        return list(report["discrepancies"])

    def play(self, events: Sequence[LmsEvent]) -> None:
        """Have the LMS publish events."""
        file = self.folder / f"events-{uuid.uuid4()}.jsonl"
        file.write_text(
            "\n".join(
                json.dumps({"id": str(e.id), "time": e.time.isoformat(), "type": e.type, "payload": e.payload})
                for e in events
            )
        )
        self.manage("produce_events", "--file", str(file))

    def arm(self, point: str, blow: Blow, nth: int = 1) -> Fuse:
        """Put a fuse at a point.  What it pauses is continued after `PAUSE_SECONDS`, when claims have run out."""
        fuse = arm(self.board, point, blow, nth)
        self._fuses.append(fuse)
        return fuse

    @contextmanager
    def without(self, *protections: str | None) -> Iterator[None]:
        """These protections are off meanwhile."""
        marks = [self.board / "without" / protection for protection in protections if protection]
        for mark in marks:
            switchboard.write(mark, "")
        try:
            yield
        finally:
            for mark in marks:
                mark.unlink()

    def strike(self, name: str, blow: Blow) -> None:
        """Kill, stop or pause a process by its name, and its children with it."""
        pid = self._supervised[name].pid
        match blow:
            case Blow.KILL:
                _signal_group(pid, signal.SIGKILL)
            case Blow.KILL_CHILD:
                with suppress(ProcessLookupError, IndexError):
                    os.kill(self.draw.choice(_children(pid)), signal.SIGKILL)
            case Blow.STOP:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            case Blow.PAUSE:
                _signal_group(pid, signal.SIGSTOP)
                self._continue_at[pid] = time.monotonic() + PAUSE_SECONDS

    def struck_by(self, fuse: Fuse) -> str:
        """The name of the process that a fuse struck, as long as it was not started again."""
        blown = fuse.blown()
        return next(name for name, process in self._supervised.items() if blown and process.pid == blown.group)

    def dismiss(self, name: str) -> None:
        """A process that was killed is not started again before `recall`."""
        self._dismissed[name] = self._supervised.pop(name)

    def recall(self) -> None:
        """Whoever was dismissed is started again as if it had died now.  May be repeated."""
        self._supervised |= self._dismissed
        self._dismissed.clear()

    def forget_messages(self) -> None:
        """The broker loses its memory."""
        self.broker.flushdb()

    def _restart(self, name: str) -> None:
        process = self._supervised[name]
        _signal_group(process.pid, signal.SIGKILL)  # what its children left behind, as the end of a container does
        self._log_starts[name] = process.log.stat().st_size
        process.start()
        self._groups.add(process.pid)
        self.restarts += 1
        del self._restart_at[name]

    def _is_ready(self, name: str) -> bool:
        process = self._supervised[name]
        if process.pid in self._continue_at:
            return False
        with process.log.open("rb") as log:
            log.seek(self._log_starts.get(name, 0))
            return READY[name.partition(".")[0]].encode() in log.read(20_000)

    def _unread(self) -> int:
        groups: list[dict[str, Any]] = self.bus.xinfo_groups(TOPIC) if self.bus.exists(TOPIC) else []
        own = next((group for group in groups if group["name"] == GROUP.encode()), None)
        if own is None:  # the server came back empty; whoever reads makes the group again
            return 1
        last: Any = self.bus.xinfo_stream(TOPIC)["last-generated-id"]
        return int(own["pending"]) + int(own["last-delivered-id"] != last)


_ENTRIES = {
    "python manage.py": "python -m tests.faults.manage",
    "-A pipeline": "-A tests.faults.celery_app",
    "gunicorn pipeline.wsgi": "gunicorn tests.faults.wsgi",
}
"""What a process is started by in the Procfile, and here."""


def _with_points(command: str) -> str:
    for original, broken in _ENTRIES.items():
        command = command.replace(original, broken)
    return command


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]
