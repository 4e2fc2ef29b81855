"""A backlog: one event in twenty earns a badge, the others match nothing.

All events are on the bus before the processes go on: one consumer, four `worker` processes, one `credly`, one beat.  The clock
runs until no event is `received` any more; until the last signal is sent stands beside it.
"""

import time

from benchmarks.load import Message, again, messages
from benchmarks.results import Chart, Result
from benchmarks.session import Session, main
from benchmarks.stand import Stand

EARN = 20
"""One in so many events earns a badge."""


def mixed(stand: Stand, number: int, earn: int = EARN) -> list[Message]:
    """Events that match nothing, and in their midst one in `earn` that earns a badge."""
    nothing, earning = messages(earn - 1), stand.matching(number // earn)
    return [message for each in earning for message in [each, *again(nothing)]]


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("backlog", "A backlog", __doc__ or "")
    number = session.pick(100_000, 6_000)
    table = result.table(f"{number:,} events", "", *session.databases)
    took: dict[str, tuple[float, float]] = {}
    for database in session.databases:
        with session.stand(database, {"consumer": 1, "worker": 4, "credly": 1, "beat": 1}) as stand:
            took[database] = _work_off(session, stand, result, database, number)
    table.add("seconds until all are `ignored` or `processed`", *(f"{took[d][0]:.0f}" for d in session.databases))
    table.add("events per second until then", *(f"{number / took[d][0]:,.0f}" for d in session.databases))
    table.add("seconds until the last signal is sent", *(f"{took[d][1]:.0f}" for d in session.databases))
    return result


def _work_off(session: Session, stand: Stand, result: Result, database: str, number: int) -> tuple[float, float]:
    """Seconds until no event is `received`, and until nothing waits."""
    made = mixed(stand, number)
    stand.hold("consumer", "worker", "credly", "beat")
    last = stand.publish(made)
    lines: dict[str, list[tuple[float, float]]] = {"stored": [], "ignored or processed": [], "signals sent": []}
    bar = session.progress.add_task(f"Backlog, {database}", total=number)
    started = stand.go("consumer", "worker", "credly", "beat")
    events_done = 0.0
    while True:
        counts = stand.ledger.counts("event", "status")
        ended = counts.get("ignored", 0) + counts.get("processed", 0)
        sent = stand.ledger.count("signal", "state = 'sent'")
        seconds = time.monotonic() - started
        for line, value in zip(lines.values(), (sum(counts.values()), ended, sent), strict=True):
            line.append((seconds, value))
        session.progress.update(bar, completed=min(ended, number))
        if not events_done and not counts.get("received") and stand.acknowledged(last):
            events_done = seconds
        if events_done and not stand.ledger.waiting():
            break
        if seconds > session.pick(400, 200):
            raise TimeoutError(f"not after {seconds:.0f} s: {counts}, {sent} signals; see {stand.folder}")
        time.sleep(0.5)
    session.progress.remove_task(bar)
    if counts["processed"] != number // EARN or sent != number // EARN:
        raise RuntimeError(f"{number // EARN} badges were to be earned: {counts}, {sent} signals")
    result.charts.append(Chart(f"A backlog over time, {database}", "seconds", "so far", lines))
    result.note(f"{database} seconds until evaluated", events_done)
    result.note(f"{database} seconds until signals sent", seconds)
    return events_done, seconds


if __name__ == "__main__":
    main(measure)
