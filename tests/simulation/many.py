"""Many seeds, in this process or in several."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import django

AT_ONCE = 25
"""Seeds that a process takes at a time."""

A_TEST = 125
"""Seeds of one test: some seconds."""


@dataclass
class Found:
    """Of some seeds: how many were run, what happened how often, and an explanation of each one that broke."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def run(seeds: range) -> Found:
    """Run seeds one after the other, in the database of `school.database`."""
    from tests.simulation.credly import Broken
    from tests.simulation.simulation import explained, simulate

    found = Found(len(seeds))
    for seed in seeds:
        try:
            found.counts += simulate(seed)
        except Broken as broken:
            found.broken.append(explained(seed, broken))
    return found


def pieces(first: int, end: int) -> list[range]:
    """The seeds from first to end, as many as `A_TEST` at a time."""
    return [range(start, min(start + A_TEST, end)) for start in range(first, end, A_TEST)]


def run_in_processes(seeds: range, processes: int | None) -> Iterator[Found]:
    """Run seeds in processes of their own; yields what each `AT_ONCE` of them brought, in order."""
    spans = [seeds[start : start + AT_ONCE] for start in range(0, len(seeds), AT_ONCE)]
    with ProcessPoolExecutor(processes, initializer=django.setup) as pool:
        yield from pool.map(_in_own_database, spans)


def _in_own_database(span: range) -> Found:
    from tests.simulation import school

    with school.database():
        return run(span)
