"""pytest-celery's nodes on local processes, so that its tests run where there is no Docker.

Its classes wrap a container object of docker-py and use little of it: `id`, `name`, `status`, `attrs`, `reload`, `restart`,
`kill`, `logs` (facts/stack.md, section 3).  `LocalContainer` answers the same for a child process or a Redis server of ours;
all the rest is pytest-celery's own.
"""

import os
import signal
import uuid
from pathlib import Path
from typing import Any, Protocol, Self

from celery.utils.nodenames import gethostname
from honcho.environ import parse_procfile
from pytest_celery import CeleryTestWorker, CeleryWorkerContainer, RedisContainer, RedisTestBroker
from redis import Redis

from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import RedisServer

PROJECT = Path(__file__).resolve().parents[2]


class Program(Protocol):
    """What runs instead of a container's main process."""

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool: ...

    def output(self) -> str: ...

    def start(self) -> object: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...


class RedisProgram(RedisServer):
    """A Redis server with what a container must tell of it; with a `password`, nobody gets in without."""

    def __init__(self, folder: Path, password: str = "", program: str | None = None) -> None:
        super().__init__(folder, program=program)
        self._password = password

    def start(self) -> Self:
        super().start()
        with Redis(port=self.port) as redis:
            redis.config_set("requirepass", self._password)
        return self

    def database(self, number: int) -> str:
        """The URL of one of its databases."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/{number}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        return (self.folder / f"redis-{self.port}.log").read_text(errors="replace")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Stop it in the middle of everything: connections stay and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class LocalContainer:
    """A program behind the part of docker-py's `Container` that pytest-celery uses."""

    def __init__(self, name: str, program: Program) -> None:
        self.id = uuid.uuid4().hex
        self.name = name
        self.program = program
        self.attrs: dict[str, Any] = {
            "Config": {"Hostname": gethostname(), "Env": []},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
            "HostConfig": {"PortBindings": {}},
        }

    @property
    def status(self) -> str:
        return "running" if self.program.running else "exited"

    def reload(self) -> None:
        """Nothing to fetch: the state is looked up whenever it is asked for."""

    def logs(self) -> bytes:
        return self.program.output().encode()

    def kill(self, signal: str | int | None = None) -> None:
        """Send the main process a signal; SIGKILL, as in a container, ends all its children too."""
        number = _signal(signal)
        if number == _SIGKILL:
            self.program.kill()
        else:
            os.kill(self.program.pid, number)

    def restart(self, timeout: float = 10) -> None:
        self.program.stop()
        self.program.start()


_SIGKILL = signal.SIGKILL


def _signal(name: str | int | None) -> signal.Signals:
    if isinstance(name, str):
        return signal.Signals[name]
    return signal.Signals(name or _SIGKILL)


class LocalRedisContainer(RedisContainer):
    """A broker node's container: database 0 of a Redis server on a port of its own."""

    @property
    def server(self) -> RedisProgram:
        server: RedisProgram = self._container.program
        return server

    @property
    def url(self) -> str:
        return self.server.database(0)

    @property
    def host_url(self) -> str:
        return self.url

    @property
    def port(self) -> int:
        return self.server.port


class ProcfileContainer(CeleryWorkerContainer):
    """A worker node's container: a worker of the Procfile, flags and all."""

    @property
    def process(self) -> ChildProcess:
        process: ChildProcess = self._container.program
        return process


class BrokerNode(RedisTestBroker):
    """The broker."""

    @property
    def server(self) -> RedisProgram:
        server: RedisProgram = self.container.server
        return server

    @property
    def url(self) -> str:
        """As processes get it in `CELERY_BROKER_URL`."""
        url: str = self.container.url
        return url

    def waiting(self, queue: str) -> int:
        """Messages of a queue that no worker has taken."""
        with self.container.client as redis:
            return int(redis.llen(queue))

    def taken(self) -> int:
        """Messages that a worker has taken and not acknowledged."""
        with self.container.client as redis:
            return int(redis.hlen("unacked"))

    def empty(self) -> None:
        """Forget everything."""
        with self.container.client as redis:
            redis.flushdb()


class WorkerNode(CeleryTestWorker):
    """One worker of the Procfile: `worker` or `credly`."""

    @property
    def process(self) -> ChildProcess:
        process: ChildProcess = self.container.process
        return process

    @property
    def worker_name(self) -> str:
        return self.name()

    def hostname(self) -> str:
        return f"{self.name()}@{gethostname()}"

    def ready(self) -> bool:
        """Whether it is, once it said so: pytest-celery itself would look once a second."""
        self.process.wait_for_output(self.container.ready_prompt)
        return bool(super().ready())

    def active(self, task: str) -> list[dict[str, Any]]:
        """The tasks of this name that its pool works on: `id`, `args`, `worker_pid`, ..."""
        answers = self.app.control.inspect(destination=[self.hostname()]).active() or {}
        return [found for found in answers.get(self.hostname(), []) if found["name"] == task]

    def teardown(self) -> None:
        self.process.kill()


def procfile(process: str) -> str:
    """The command of a process in the Procfile."""
    commands: dict[str, str] = parse_procfile((PROJECT / "Procfile").read_text()).processes
    return commands[process]
