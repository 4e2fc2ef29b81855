"""Waiting for a condition."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = 60) -> T:
    """What `look` returns once that is true.

    Raises:
        TimeoutError: it never was; the message has what it last returned.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {seconds:.0f} s; last seen: {seen!r}")
        time.sleep(0.05)
    return seen
