"""A real RabbitMQ node of our own on free ports, beside any that the system runs."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import free_port

START_SECONDS = 120

PACKAGE = Path("/usr/lib/rabbitmq/bin")
"""Where Debian and Ubuntu put the programs; those on PATH insist on the system's own node."""


class RabbitMQNotFound(RuntimeError):
    """No RabbitMQ is to be had.  The message says where one was looked for."""


def programs() -> Path:
    """The folder of `rabbitmq-server` and `rabbitmqctl`: `RABBITMQ_BIN`, then the Debian package's.

    Raises:
        RabbitMQNotFound: there is none, or Erlang's `epmd` is missing.
    """
    folder = Path(os.environ.get("RABBITMQ_BIN") or PACKAGE)
    if (folder / "rabbitmq-server").exists() and shutil.which("epmd"):
        return folder
    raise RabbitMQNotFound(
        f"No RabbitMQ in {folder}: install Debian's rabbitmq-server (.ci/rabbitmq does), or set RABBITMQ_BIN."
    )


class RabbitMQServer:
    """A node with a name, home and data of its own.  Use as a context manager, or `start` and `stop`.

    Its ports, Erlang's too, are free ones on loopback; login `guest`, password `guest`.

    Args:
        folder: for all that it writes; what it holds is kept there over a restart.
        configuration: lines of `rabbitmq.conf`, such as `"heartbeat = 10"`.
        plugins: those that are switched on, such as `"rabbitmq_management"`.
    """

    def __init__(self, folder: Path, *configuration: str, plugins: Iterable[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = programs()
        self._configuration = configuration
        self._plugins = tuple(plugins)
        names = free_port()
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"badges-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}",
        }
        log = folder / "rabbitmq.log"
        # Erlang's register of names would otherwise be a daemon that outlives the node.
        names_command = ["epmd", "-port", str(names), "-address", "127.0.0.1"]
        self._names = ChildProcess("epmd", names_command, folder=folder, log=log, environment=self._environment)
        command = [str(self._programs / "rabbitmq-server")]
        self._node = ChildProcess("RabbitMQ", command, folder=folder, log=log, environment=self._environment)

    def url(self, virtual_host: str = "/", user: str = "guest:guest") -> str:
        """As `CELERY_BROKER_URL` takes it."""
        return f"amqp://{user}@127.0.0.1:{self.port}/{'' if virtual_host == '/' else virtual_host}"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._node.running

    def output(self) -> str:
        """Its log."""
        return self._node.output()

    def start(self) -> Self:
        """Start the node and wait until it answers.

        Raises:
            TimeoutError: it ended or does not answer; the message has the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in self._configuration))
        (self.folder / "plugins").write_text(f"[{','.join(self._plugins)}].\n")
        self._node.log.unlink(missing_ok=True)
        if not self._names.running:
            self._names.start()
        self._node.start()
        try:
            self._node.wait_for_output("Server startup complete", START_SECONDS)
        except TimeoutError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the node, frozen or not.  May be repeated."""
        if self._node.running:
            self.thaw()
        self._node.stop()
        self._names.stop()

    def kill(self) -> None:
        """End the node with SIGKILL; `start` brings it back on the same port with what it had written."""
        self._node.kill()

    def freeze(self) -> None:
        """Stop it in the middle of everything: connections stay and nobody answers."""
        os.killpg(self._node.pid, signal.SIGSTOP)
        while not _stopped(self._node.pid):
            time.sleep(0.01)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self._node.pid, signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl` and return what it prints; it takes seconds.

        Raises:
            RuntimeError: it failed; the message has what it said.
        """
        command = [str(self._programs / "rabbitmqctl"), "--quiet", "-n", self._environment["RABBITMQ_NODENAME"]]
        done = subprocess.run(
            [*command, *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]} failed: {done.stderr or done.stdout}")
        return done.stdout

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _stopped(group: int) -> bool:
    """Whether every process of a group has, which takes them a moment; what runs does work meanwhile."""
    states = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group, *_ = (process / "stat").read_text().rpartition(") ")[2].split()
            states |= {state} if int(its_group) == group else set()
    return states <= {"T", "Z"}
