"""From the event on the bus to the call that reaches Credly, on a system with nothing else to do.

Events come at a steady low rate.  In between, at the same rate, empty tasks go the same way through Celery (evaluate, persist,
issue: one hop per stage), and one row is changed and committed by the bare driver.  The floor is the sum of a chain of these
hops and of as many commits as the pipeline makes on the way: one in `consume`, two each in `evaluate`, `persist` and `issue`.
"""

import json
import time
from datetime import datetime
from typing import Any

from celery import Celery

from benchmarks import noop
from benchmarks.results import Chart, Result, percentile
from benchmarks.session import Session, main
from benchmarks.stand import Stand

RATE = 5.0
COMMITS = 7
WANTED = 3.0
PERCENTILES = (50, 90, 99)


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("event_to_call", "From the event to the call", __doc__ or "")
    for database in session.databases:
        processes = {"consumer": 1, "worker": 1, "credly": 1, "beat": 1}
        with session.stand(database, processes, children=4) as stand:
            stand.noop(1, children=4)
            stand.wait_until_ready()
            _warm(stand)
            _steadily(session, stand, result, database)
        _report(result, database)
    return result


def _warm(stand: Stand) -> None:
    """So many, one by one, that each process has had some."""
    for event in stand.matching(60):
        stand.publish([event])
        time.sleep(0.05)
    stand.until(stand.settled)


def _steadily(session: Session, stand: Stand, result: Result, database: str) -> None:
    """One event, and half a turn later one empty chain."""
    number = session.pick(200, 40)
    known = stand.learners
    made = stand.matching(number)
    app = Celery(broker=stand.noop_url)
    sent: dict[str, float] = {}
    begun: dict[int, float] = {}
    started = time.monotonic()
    for each in session.track(f"From the event to the call, {database}", range(number)):
        time.sleep(max(0.0, started + each / RATE - time.monotonic()))
        sent[str(known + each + 1)] = time.time()
        stand.publish([made[each]])
        time.sleep(max(0.0, started + (each + 0.5) / RATE - time.monotonic()))
        begun[each] = time.time()
        app.send_task("evaluate", [each], queue="evaluate")
    stand.until(stand.settled)
    for call in stand.credly("GET", "requests?method=POST")["requests"]:
        if call["issuer_earner_id"] in sent:
            at = datetime.fromisoformat(call["time"]).timestamp()
            result.note(f"{database} ms to the call", (at - sent.pop(call["issuer_earner_id"])) * 1000)
    if sent:
        raise RuntimeError(f"{len(sent)} of {number} events brought no call")
    with stand.noop_broker() as broker:
        stand.until(lambda: broker.hlen(f"{noop.ARRIVED}:issue") >= number)
        arrived: dict[bytes, Any] = broker.hgetall(f"{noop.ARRIVED}:issue")
    for each, at in begun.items():
        result.note(f"{database} ms of the empty chain", (float(arrived[str(each).encode()]) - at) * 1000)
    seconds = json.loads(stand.run("benchmarks.floors", "commits", str(session.pick(500, 100))))
    result.figures[f"{database} ms of a commit"] = [each * 1000 for each in seconds]


def _report(result: Result, database: str) -> None:
    ours, hops, commits = (
        result.figures[f"{database} {what}"] for what in ("ms to the call", "ms of the empty chain", "ms of a commit")
    )
    floor = {p: percentile(hops, p) + COMMITS * percentile(commits, p) for p in PERCENTILES}
    table = result.table(f"Milliseconds, {database}", "", *(f"p{p}" for p in PERCENTILES))
    table.add("**from the event to the call**", *(f"{percentile(ours, p):.1f}" for p in PERCENTILES))
    table.add("three empty hops through Celery", *(f"{percentile(hops, p):.1f}" for p in PERCENTILES))
    table.add(f"{COMMITS} bare commits", *(f"{COMMITS * percentile(commits, p):.1f}" for p in PERCENTILES))
    table.add("their sum", *(f"{floor[p]:.1f}" for p in PERCENTILES))
    ordered = sorted(ours)
    result.charts.append(
        Chart(
            f"From the event to the call, {database}",
            "percent of the events",
            "ms at most",
            {
                name: [(p, percentile(values, p)) for p in range(1, 100)]
                for name, values in (("to the call", ordered), ("three empty hops", hops))
            },
        )
    )
    times = percentile(ours, 99) / floor[99]
    result.target(
        f"p99 from the event to the call, times the floor's p99, {database}",
        f"{WANTED:.0f}",
        f"{times:.1f} (p50: {percentile(ours, 50) / floor[50]:.1f})",
        times <= WANTED,
    )


if __name__ == "__main__":
    main(measure)
