"""Run seeds by hand; see the package."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context

import django

AT_ONCE = 25
"""Seeds that a process takes at a time."""

Found = tuple[Counter[str], list[str]]
"""What happened how often, and an explanation of each broken seed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulate the way of an event.")
    parser.add_argument("seed", type=int, nargs="?", help="one seed")
    parser.add_argument("--seeds", type=_span, help="many seeds, such as 0:100000")
    parser.add_argument("--trace", action="store_true", help="show every step of the one seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="for many seeds")
    arguments = parser.parse_args()
    if (arguments.seed is None) == (arguments.seeds is None):
        parser.error("give one seed, or --seeds FROM:TO")
    if arguments.seeds:
        return _many(arguments.seeds, arguments.processes)
    return _one(arguments.seed, trace=arguments.trace)


def _span(text: str) -> range:
    first, _, end = text.partition(":")
    return range(int(first), int(end))


def _one(seed: int, *, trace: bool) -> int:
    from tests.simulation import school
    from tests.simulation.credly import Broken
    from tests.simulation.simulation import simulate

    lines: list[str] = []
    with school.database():
        try:
            counts = simulate(seed, lines)
            end = f"Seed {seed} holds: {_summary(counts)}"
        except Broken as broken:
            counts, end = None, f"Seed {seed} BREAKS: {broken}"
    sys.stdout.write("\n".join([*(lines if trace else []), end, ""]))
    return 0 if counts is not None else 1


def _many(seeds: range, processes: int) -> int:
    total: Counter[str] = Counter()
    broken: list[str] = []
    started = time.monotonic()
    spans = [seeds[start : start + AT_ONCE] for start in range(0, len(seeds), AT_ONCE)]
    done = 0
    with get_context("spawn").Pool(processes, initializer=_begin) as pool:
        for span, (counts, explanations) in zip(spans, pool.imap(_span_of_seeds, spans), strict=True):
            total += counts
            broken += explanations
            done += len(span)
            _show(done, len(seeds), len(broken), time.monotonic() - started)
            for explanation in explanations:
                sys.stdout.write(f"\n{explanation}\n")
    each = Counter({what: number / len(seeds) for what, number in total.items()})
    sys.stdout.write(f"\n{len(seeds)} seeds, {len(broken)} broken.  Per seed: {_summary(each)}\n")
    return 1 if broken else 0


def _begin() -> None:
    """A process of many: set Django up once."""
    django.setup()


def _span_of_seeds(span: range) -> Found:
    from tests.simulation import school

    with school.database():
        total: Counter[str] = Counter()
        explanations = []
        for counts, explanation in _results(span):
            total += counts
            explanations += [explanation] if explanation else []
        return total, explanations


def _results(span: range) -> Iterator[tuple[Counter[str], str]]:
    from tests.simulation.credly import Broken
    from tests.simulation.simulation import explained, simulate

    for seed in span:
        try:
            yield simulate(seed), ""
        except Broken as broken:
            yield Counter(), explained(seed, broken)


def _show(done: int, of: int, broken: int, seconds: float) -> None:
    if sys.stdout.isatty() or done == of:
        bar = "█" * (30 * done // of)
        sys.stdout.write(f"\r{bar:<30} {done} of {of}, {broken} broken, {done / seconds:.0f} a second ")
        sys.stdout.flush()


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {number:.3g}" for what, number in sorted(counts.items()))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
    django.setup()
    sys.exit(main())
