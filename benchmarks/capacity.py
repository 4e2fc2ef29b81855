"""Four worker processes and one, on evaluation alone: what waits in the inbox and the queue and matches nothing.

`worker` runs with `WORKER_CONCURRENCY` 1 and 4 on two stands that take turns; the consumer has taken in all of it before.
"""

from contextlib import ExitStack

from benchmarks.load import again, messages
from benchmarks.results import Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

CHILDREN = (1, 2, 4)
WANTED = 3.0


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("capacity", "Four worker processes and one", __doc__ or "")
    made = messages(session.pick(30_000, 8_000))
    table = result.table("Events evaluated per second", "worker processes", *session.databases)
    for database in session.databases:
        with ExitStack() as stack:
            stands = {
                each: stack.enter_context(session.stand(database, {"consumer": 1, "worker": 1}, children=each))
                for each in CHILDREN
            }
            for stand in stands.values():
                _evaluate(stand, made[:4_000])
            for _ in session.track(f"Capacity, {database}", range(session.runs)):
                for each, stand in stands.items():
                    result.note(f"{database} {each}", len(made) / _evaluate(stand, made))
        times = median(result.figures[f"{database} 4"]) / median(result.figures[f"{database} 1"])
        result.target(f"4 worker processes, times 1, {database}", f"{WANTED:.0f}", f"{times:.1f}", times >= WANTED)
    for each in CHILDREN:
        table.add(str(each), *(spread(result.figures[f"{database} {each}"]) for database in session.databases))
    return result


def _evaluate(stand: Stand, made: list[dict[bytes, bytes]]) -> float:
    """Seconds from the worker's start until all is `ignored`; everything else stands still meanwhile."""
    stand.hold("consumer", "worker")
    last = stand.publish(again(made))
    stand.go("consumer")
    stand.until(lambda: stand.acknowledged(last))
    stand.hold("consumer")
    started = stand.go("worker")
    seconds = stand.until(lambda: not stand.ledger.waiting()) - started
    stand.forget_read(last)
    return seconds


if __name__ == "__main__":
    main(measure)
