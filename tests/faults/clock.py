"""The wall clock of a cluster's processes, which a test sets while they run.

Ours go by it, and the LMS's and every command.  Credly and the Redis server stay: those are other machines'.  So does the
clock that nobody can set, by which timeouts and sleeps go.
"""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from tests.faults import switchboard


class Clock:
    """A wall clock that is right until it is set.

    Args:
        file: through which it reaches the processes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ahead = timedelta(0)
        self.step(timedelta(0))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process go by it."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + self._ahead

    def step(self, by: timedelta) -> None:
        """Set it forward, or back where `by` is negative, for all processes at once."""
        self._ahead += by
        switchboard.write(self._file, f"{self._ahead.total_seconds():+.3f}")


def _library() -> Path:
    package = find_spec("libfaketime")
    if package is None or package.origin is None:
        raise RuntimeError("libfaketime is missing: install requirements-dev.txt")
    return Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
