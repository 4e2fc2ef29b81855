"""Shorter waits than in production, for what reads Kafka in tests."""

from collections.abc import Callable

from pipeline.bus.kafka import reader
from tests.bus.kafka.cluster import HANG_MS, SESSION_MS


def be_quick(set_attribute: Callable[[object, str, object], None]) -> None:
    """Shorten them in this process.

    Args:
        set_attribute: `setattr`, or what undoes it after a test.
    """
    set_attribute(reader, "SESSION_MS", SESSION_MS)
    set_attribute(reader, "HEARTBEAT_MS", SESSION_MS // 3)
    set_attribute(reader, "HANG_MS", HANG_MS)
    set_attribute(reader, "BLOCK_SECONDS", 0.2)
