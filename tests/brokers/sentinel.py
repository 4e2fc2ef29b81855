"""One Redis Sentinel, which guards one master."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import RedisServer, free_port

MASTER = "badges"


class Sentinel:
    """Where it listens, and what it knows; `url` tells no password."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"sentinel://127.0.0.1:{port}/0?master_name={MASTER}"

    def replicas(self) -> int:
        """How many replicas of the master it has found."""
        try:
            with Redis(port=self.port, decode_responses=True) as sentinel:
                told = sentinel.execute_command("SENTINEL", "MASTER", MASTER)
                return int(told["num-slaves"] if isinstance(told, dict) else told[told.index("num-slaves") + 1])
        except RedisError:
            return 0


@contextmanager
def sentinel(
    folder: Path, master: RedisServer, *, program: str, password: str = "", of_master: str = ""
) -> Iterator[Sentinel]:
    """One that wants a password of its own, where one is given, and knows the master's."""
    port = free_port()
    folder.mkdir()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1\n"
        f"sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n"
        + (f"requirepass {password}\n" if password else "")
        + (f"sentinel auth-pass {MASTER} {of_master}\n" if of_master else "")
    )
    command = [program, str(configuration), "--sentinel"]
    process = ChildProcess("sentinel", command, folder=folder, log=folder / "log", environment={})
    process.start()
    try:
        yield Sentinel(port)
    finally:
        process.kill()
