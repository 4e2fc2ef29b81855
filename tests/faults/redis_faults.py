"""What can become of the Redis server, which holds the bus and the broker."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.lms.events import LmsEvent
from tests.faults.cluster import Cluster


@contextmanager
def away(cluster: Cluster, *, forgetting: bool = False) -> Iterator[None]:
    """The server is killed, and started again on the same port.

    Args:
        cluster: whose server.
        forgetting: whether it comes back empty, as one does that does not persist.
    """
    cluster.redis.kill()
    try:
        yield
    finally:
        if forgetting:
            for kept in cluster.redis.folder.rglob("appendonly.aof*"):
                kept.unlink()
        cluster.redis.start()


@contextmanager
def full(cluster: Cluster) -> Iterator[None]:
    """The server's memory is used up: it refuses whatever needs more, and takes away and acknowledges as before."""
    cluster.bus.config_set("maxmemory-policy", "noeviction")
    cluster.bus.config_set("maxmemory", 1)
    try:
        yield
    finally:
        cluster.bus.config_set("maxmemory", 0)


def cut(cluster: Cluster) -> int:
    """Every connection is cut, whatever its client is doing.  Returns how many."""
    return int(cluster.bus.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))


def insist(cluster: Cluster, events: Sequence[LmsEvent]) -> None:
    """Have the LMS publish events, and all of them again when the bus did not take one, until it has taken all."""
    while True:
        try:
            return cluster.play(events)
        except RuntimeError as error:
            if "event bus" not in str(error):
                raise
