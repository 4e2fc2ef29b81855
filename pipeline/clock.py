"""The wall clock of this machine, and whether somebody set it."""

import time
from datetime import timedelta
from multiprocessing.sharedctypes import RawValue

LEAST_SECONDS = 5.0
"""What the clock is set by less delays nothing that matters, and ends no claim whose call may still be out."""


def ahead() -> float:
    """Seconds that the wall clock is ahead of the clock that nobody can set."""
    return time.time() - time.monotonic()


class ClockWatch:
    """Remembers how the wall clock went when its times were last put right.

    What it remembers is shared with the processes that are forked from this one: whichever looks next sees what any of
    them would.
    """

    def __init__(self) -> None:
        self._then = RawValue("d", ahead())
        self._is_new = RawValue("b", True)

    @property
    def is_new(self) -> bool:
        """Whether nothing was `noted` yet: how the clock went before the start, nobody can tell."""
        return bool(self._is_new.value)

    def moved(self, seen: float) -> timedelta:
        """How far the clock was set since then, negative if back; zero if it was not.

        Args:
            seen: what `ahead` said, before anything else was told the time.
        """
        seconds = seen - self._then.value
        return timedelta(seconds=seconds if abs(seconds) >= LEAST_SECONDS else 0.0)

    def noted(self, seen: float) -> None:
        """Times are right by the clock as it was `seen`: should it have been set since, the next look tells.

        May be repeated.
        """
        self._then.value, self._is_new.value = seen, False
