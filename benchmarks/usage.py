"""Processor time and memory of the processes of a stand, by kind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import psutil

MIB = 2**20


def processes(roots: Mapping[str, int]) -> Iterator[tuple[str, psutil.Process]]:
    """Each living process below these, with its name: `worker.1` for the root, `worker.1 child` for those it started."""
    for name, pid in roots.items():
        try:
            root = psutil.Process(pid)
            yield name, root
            for child in root.children(recursive=True):
                yield f"{name} child", child
        except psutil.NoSuchProcess:
            continue


def cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds of processor time so far, by kind: numbers of processes are left out of their names."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for name, process in processes(roots):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        kind, _, child = name.partition(" ")
        seconds[f"{kind.partition('.')[0]} {child}".strip()] += times.user + times.system
    return dict(seconds)


def resident_mib(roots: Mapping[str, int]) -> dict[str, float]:
    """Resident memory in MiB by process; of several children of one process the largest."""
    largest: dict[str, float] = {}
    for name, process in processes(roots):
        try:
            largest[name] = max(largest.get(name, 0.0), process.memory_info().rss / MIB)
        except psutil.NoSuchProcess:
            continue
    return largest
