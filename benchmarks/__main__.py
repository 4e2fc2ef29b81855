"""All benchmarks: `python -m benchmarks`, or `make bench`."""

import argparse
import sys
from collections.abc import Callable

from benchmarks import (
    backfill,
    backlog,
    capacity,
    costs,
    credly_away,
    document,
    emulator_alone,
    event_to_call,
    ignoring,
    memory,
    stage_by_stage,
    taking_in,
    to_credly,
)
from benchmarks.results import Result
from benchmarks.session import Session, arguments, session, take

BENCHMARKS: dict[str, Callable[[Session], Result]] = {
    "taking_in": taking_in.measure,
    "ignoring": ignoring.measure,
    "capacity": capacity.measure,
    "to_credly": to_credly.measure,
    "stage_by_stage": stage_by_stage.measure,
    "event_to_call": event_to_call.measure,
    "credly_away": credly_away.measure,
    "backlog": backlog.measure,
    "backfill": backfill.measure,
    "memory": memory.measure,
    "costs": costs.measure,
    "emulator_alone": emulator_alone.measure,
}


def main() -> int:
    """Run those that are wanted; the exit status says whether each could be taken, not whether targets are met."""
    options = _options()
    failed = []
    with session(options) as running:
        for name in running.track("Benchmarks", options.only or list(BENCHMARKS)):
            try:
                take(BENCHMARKS[name], running)
            except (RuntimeError, TimeoutError) as error:
                failed.append(name)
                sys.stderr.write(f"{name}: {error}\n")
    if options.write_docs:
        document.write(list(BENCHMARKS))
    if failed:
        sys.stderr.write(f"could not be taken: {', '.join(failed)}\n")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments(parser)
    parser.add_argument(
        "--only", choices=BENCHMARKS, action="append", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--write-docs", action="store_true", help=f"put what was taken last into {document.DOCUMENT}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
