"""Run seeds by hand; see the package."""

import argparse
import os
import sys
import time
from collections import Counter

import django

from tests.simulation import many


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulate the way of an event.")
    parser.add_argument("seed", type=int, nargs="?", help="one seed")
    parser.add_argument("--seeds", type=_span, metavar="FROM:TO", help="many seeds, such as 0:100000")
    parser.add_argument("--trace", action="store_true", help="show every step of the one seed")
    parser.add_argument("--processes", type=int, help="for many seeds (default: one per core)")
    arguments = parser.parse_args()
    if (arguments.seed is None) == (arguments.seeds is None):
        parser.error("give one seed, or --seeds FROM:TO")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
    if arguments.seeds is not None:
        return _many(arguments.seeds, arguments.processes)
    return _one(arguments.seed, trace=arguments.trace)


def _span(text: str) -> range:
    first, _, end = text.partition(":")
    span = range(int(first), int(end))
    if not span:
        raise argparse.ArgumentTypeError(f"{text} holds no seed")
    return span


def _one(seed: int, *, trace: bool) -> int:
    django.setup()
    from tests.simulation import school
    from tests.simulation.credly import Broken
    from tests.simulation.simulation import simulate

    lines: list[str] = []
    with school.database():
        try:
            end, status = f"Seed {seed} holds: {_summary(simulate(seed, lines))}", 0
        except Broken as broken:
            end, status = f"Seed {seed} BREAKS: {broken}", 1
    sys.stdout.write("\n".join([*(lines if trace else []), end, ""]))
    return status


def _many(seeds: range, processes: int | None) -> int:
    total = many.Found()
    started = time.monotonic()
    for found in many.run_in_processes(seeds, processes):
        total.seeds += found.seeds
        total.counts += found.counts
        total.broken += found.broken
        for explanation in found.broken:
            sys.stdout.write(f"\n{explanation}\n")
        _show(total, len(seeds), time.monotonic() - started)
    each = Counter({what: number / total.seeds for what, number in total.counts.items()})
    sys.stdout.write(f"\n{total.seeds} seeds, {len(total.broken)} broken.  Per seed: {_summary(each)}\n")
    return 1 if total.broken else 0


def _show(total: many.Found, of: int, seconds: float) -> None:
    if sys.stdout.isatty() or total.seeds == of:
        bar = "█" * (30 * total.seeds // of)
        rate = total.seeds / seconds
        sys.stdout.write(f"\r{bar:<30} {total.seeds} of {of}, {len(total.broken)} broken, {rate:.0f} a second ")
        sys.stdout.flush()


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {number:.3g}" for what, number in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
