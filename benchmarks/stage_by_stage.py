"""Each stage alone: one process, or as many calls at once as `CREDLY_CONCURRENCY` allows, empties what waits for it.

All processes stand still but that of one stage, which works off all events (each earns a badge) and leaves them to the next:
taking in, evaluating, persisting, issuing (Credly at 0 ms), emitting.  `all` is what a way through these in turn would reach.
"""

from functools import partial

from benchmarks.results import Chart, Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "evaluate": ("evaluate", "persist", ()),
    "persist": ("persist", "issue", ("event",)),
    "credly": ("issue", "emit", ("event", "badge")),
}
"""Of each process, in the order of the way: the queue that it works off, the one that it fills, and the tables in which nothing
waits once it is through."""
FEW = 150
"""Events enough for several messages at each stage: a process that stands still may hold one."""
STAGES = ("consumer", *WAYS, "emit")


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("stage_by_stage", "Each stage alone", __doc__ or "")
    for database in session.databases:
        with session.stand(database, {"consumer": 1, "credly": 1}) as stand:
            for queue in ("evaluate", "persist", "emit"):
                stand.worker(queue, queue)
            stand.wait_until_ready()
            _way(stand, FEW)  # connections are opened, rules compiled
            number = session.enough(FEW / max(_way(stand, FEW).values()), most=2_000)
            for _ in session.track(f"Stage by stage, {database}", range(session.runs)):
                seconds = _way(stand, number)
                for stage, taken in seconds.items():
                    result.note(f"{database} {stage}", number / taken)
                result.note(f"{database} all", number / sum(seconds.values()))
            if stand.ledger.count("signal", "state = 'sent'") != stand.learners:
                raise RuntimeError(f"{stand.learners} learners, and {stand.ledger.counts('signal', 'state')}")
    table = result.table("Events per second", "stage", *session.databases)
    for stage in (*STAGES, "all"):
        table.add(stage, *(spread(result.figures[f"{database} {stage}"]) for database in session.databases))
    bars = {
        database: [(place, median(result.figures[f"{database} {stage}"])) for place, stage in enumerate(STAGES)]
        for database in session.databases
    }
    result.charts.append(Chart("Each stage alone", "", "events/s", bars, labels=list(STAGES)))
    return result


def _way(stand: Stand, number: int) -> dict[str, float]:
    """Seconds of each stage."""
    made = stand.matching(number)
    stand.hold(*STAGES)
    last = stand.publish(made)
    started = stand.go("consumer")
    seconds = {"consumer": stand.until(lambda: stand.acknowledged(last), every=0.002) - started}
    stand.hold("consumer")
    for process in WAYS:
        started = stand.go(process)
        seconds[process] = stand.until(partial(_is_through, stand, process), 60) - started
        stand.hold(process)
    started = stand.go("emit")
    stand.go(*WAYS)
    seconds["emit"] = stand.until(lambda: not stand.ledger.waiting(), 60) - started
    stand.go("consumer")
    stand.until(stand.settled)
    return seconds


def _is_through(stand: Stand, process: str) -> bool:
    """Whether a process has worked off what waited for it, and handed it on."""
    own, following, waits = WAYS[process]
    broker = stand.broker
    handed_on = bool(broker.llen(following)) and not broker.llen(own) and not broker.hlen("unacked")
    return handed_on and stand.ledger.waiting() not in waits


if __name__ == "__main__":
    main(measure)
