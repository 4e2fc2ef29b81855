"""Which of the many cases `make test` runs: a sample, drawn by a seed.  `FAULTS=all` runs all of them."""

import os
import random
import time
import zlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("FAULTS") == "all"


def _seed() -> int:
    """One for all of pytest's processes, which must collect the same tests."""
    if given := os.environ.get("FAULTS_SEED"):
        return int(given)
    return zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(time.time())).encode())


SEED = _seed()


def sample(cases: Sequence[T], number: int) -> list[T]:
    """That many of the cases, in their order; all of them with `FAULTS=all`."""
    if ALL:
        return list(cases)
    chosen = random.Random(SEED).sample(range(len(cases)), number)
    return [cases[place] for place in sorted(chosen)]
