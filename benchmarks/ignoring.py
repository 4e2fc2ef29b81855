"""Events that match nothing, all the way to `ignored`: one consumer, and one `worker` with one process.

Each run has three clocks: the consumer alone takes in while the worker stands still; then the worker alone evaluates what
waits in the inbox and the queue; then both handle as many events again together, from the bus to `ignored`.  The numbers of
active templates take turns in one database; each template asks for a course of its own, and none for that of the events.
"""

from benchmarks.load import Message, again, messages
from benchmarks.results import Chart, Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

SIZES = (10, 20, 100, 1_000, 10_000)
PEER_SIZE, PEER_RATE, PEER_TIMES = 20, 10.0, 500
"""The peer ignores ten events a second with twenty templates (facts/peer.md)."""
CLOCKS = {"taking in": "taking in alone", "evaluating": "evaluating alone", "both": "from the bus to `ignored`"}


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("ignoring", "Events that match nothing", __doc__ or "")
    sizes = session.pick(SIZES, (10, 20, 10_000))
    for database in session.databases:
        with session.stand(database, {"consumer": 1, "worker": 1}, templates=max(sizes)) as stand:
            made = messages(session.pick(10_000, 2_000))
            turns = [size for _ in range(session.runs) for size in sizes]
            for size in session.track(f"Ignoring, {database}", turns):
                stand.activate(size)
                _ignore(stand, made[:500])  # the worker compiles the ruleset
                for clock, rate in _rates(stand, made).items():
                    result.note(f"{database} {size} {clock}", rate)
            if set(stand.ledger.counts("event", "status")) != {"ignored"}:
                raise RuntimeError(f"not all were ignored: {stand.ledger.counts('event', 'status')}")
        _report(result, database, sizes)
    return result


def _rates(stand: Stand, made: list[Message]) -> dict[str, float]:
    """Events per second by each clock."""
    stand.hold("consumer", "worker")
    last = stand.publish(again(made))
    started = stand.go("consumer")
    taken_in = stand.until(lambda: stand.acknowledged(last)) - started
    started = stand.go("worker")
    evaluated = stand.until(lambda: not stand.ledger.waiting()) - started
    both = _ignore(stand, made)
    return {clock: len(made) / seconds for clock, seconds in zip(CLOCKS, (taken_in, evaluated, both), strict=True)}


def _ignore(stand: Stand, made: list[Message]) -> float:
    """Seconds from the bus to `ignored`."""
    stand.hold("consumer", "worker")
    last = stand.publish(again(made))
    started = stand.go("consumer", "worker")
    ended = stand.until(lambda: stand.worked_off(last))
    stand.forget_read(last)
    return ended - started


def _report(result: Result, database: str, sizes: tuple[int, ...]) -> None:
    table = result.table(f"Events per second, {database}", "active templates", *CLOCKS.values())
    for size in sizes:
        table.add(f"{size:,}", *(spread(result.figures[f"{database} {size} {clock}"]) for clock in CLOCKS))
    both = {size: median(result.figures[f"{database} {size} both"]) for size in sizes}
    lines = {
        name: [(size, median(result.figures[f"{database} {size} {clock}"])) for size in sizes]
        for clock, name in CLOCKS.items()
    }
    result.charts.append(
        Chart(f"Events that match nothing, {database}", "active templates", "events/s", lines, logarithmic=True)
    )
    share = both[PEER_SIZE] / median(result.figures[f"{database} {PEER_SIZE} taking in"])
    result.target(f"ignored, share of the taking-in rate, {database}", "40%", f"{share:.0%}", share >= 0.4)
    times = both[PEER_SIZE] / PEER_RATE
    result.target(
        f"ignored at {PEER_SIZE} templates, times the peer, {database}",
        f"{PEER_TIMES}",
        f"{times:,.0f}",
        times >= PEER_TIMES,
    )
    kept = both[max(sizes)] / both[min(sizes)]
    result.target(f"ignored at 10,000 templates, of the rate at 10, {database}", "90%", f"{kept:.0%}", kept >= 0.9)


if __name__ == "__main__":
    main(measure)
