"""Taking in while Credly answers, while it hangs, and while it refuses connections.

Three stands, each with consumer, worker, `credly` and beat, take turns: each gets the same number of events, of which one in
twenty earns a badge, and the clock runs until the consumer has acknowledged all of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.backlog import mixed
from benchmarks.results import Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

CONDITIONS = ("answers", "hangs", "refuses")
WANTED = 0.95
"""Less than this would be a change; runs of the same thing differ by about as much."""


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("credly_away", "Taking in while Credly is away", __doc__ or "")
    number = session.pick(10_000, 3_000)
    table = result.table("Events taken in per second", "Credly", *session.databases)
    for database in session.databases:
        with ExitStack() as stack:
            stands = {each: stack.enter_context(_stand(session, database, each)) for each in CONDITIONS}
            for _ in session.track(f"Credly away, {database}", range(session.runs)):
                for condition, stand in stands.items():
                    result.note(f"{database} {condition}", number / _take_in(stand, number))
            for condition, stand in stands.items():
                if stand.ledger.any("badge", "credly_id IS NOT NULL") != (condition == "answers"):
                    raise RuntimeError(f"Credly {condition}, and {stand.ledger.counts('badge', 'credly_state')}")
        healthy = median(result.figures[f"{database} answers"])
        for condition in CONDITIONS[1:]:
            share = median(result.figures[f"{database} {condition}"]) / healthy
            result.target(
                f"taking in while Credly {condition}, of the rate while it answers, {database}",
                f"{WANTED:.0%}",
                f"{share:.0%}",
                share >= WANTED,
            )
    for condition in CONDITIONS:
        table.add(condition, *(spread(result.figures[f"{database} {condition}"]) for database in session.databases))
    return result


@contextmanager
def _stand(session: Session, database: str, condition: str) -> Iterator[Stand]:
    """A stand whose Credly does that."""
    processes = {"consumer": 1, "worker": 1, "credly": 1, "beat": 1}
    with session.stand(database, processes) as stand:
        if condition == "hangs":
            stand.credly("POST", "latency", {"seconds": 3600})
        elif condition == "refuses":
            stand.processes["emulator"].kill()
        _take_in(stand, 500)
        yield stand


def _take_in(stand: Stand, number: int) -> float:
    """Seconds until the consumer has acknowledged all; returns when the rest has done what it can."""
    stand.hold("consumer")
    last = stand.publish(mixed(stand, number))
    started = stand.go("consumer")
    seconds = stand.until(lambda: stand.acknowledged(last)) - started
    stand.until(lambda: not stand.ledger.any("event", "status = 'received'"))
    stand.forget_read(last)
    return seconds


if __name__ == "__main__":
    main(measure)
