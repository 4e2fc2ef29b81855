"""What one event costs at each stage: queries, commits, round trips to Redis, and whose time it takes.

One process goes through the stages without Celery's workers, one piece of work after the other, and hands over as the tasks
do; Credly answers at once.  (Alone, `issue` publishes for each badge the message that threads would share.)  Each second counts
once: a round trip to Redis within a publication counts as Redis's.  Beside it what one message costs Celery's worker (one
process, empty tasks), and one commit of one changed row by the bare driver.
"""

import json
from typing import Any

from celery import Celery

from benchmarks import noop
from benchmarks.results import Chart, Result, median
from benchmarks.session import Session, main
from benchmarks.stand import Stand, as_json

IN_A_BACKLOG = {"consume": 500, "evaluate": 500, "persist": 50, "issue": 10, "emit": 10}
"""How many a stage takes at once in a backlog."""
KINDS = ("database", "ours", "publishing", "redis", "credly")
NAMES = {"publishing": "Celery: publishing", "worker": "Celery: worker"}


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("costs", "What an event costs", __doc__ or "")
    number = session.pick(3_000, 1_500)
    for database in session.databases:
        costs: list[dict[str, Any]] = []
        hops: list[float] = []
        commits: list[float] = []
        for _ in session.track(f"Costs, {database}", range(session.pick(3, 1))):
            with session.stand(database, {}) as stand:
                stand.publish(stand.matching(number))
                costs.append(as_json(stand.run("benchmarks.costs_probe", str(number))))
                commits += json.loads(stand.run("benchmarks.floors", "commits", "300"))
                hops.append(_hop(stand, session.pick(2_000, 500)))
        _report(result, database, costs, median(hops) * 1000, median(commits) * 1000)
    return result


def _hop(stand: Stand, number: int) -> float:
    """Seconds that one worker with one process needs for one empty task that comes from a full queue."""
    app = Celery(broker=stand.noop_url)
    stand.worker("noop.1", "emit", "benchmarks.noop", CELERY_BROKER_URL=stand.noop_url)
    stand.wait_until_ready()
    stand.hold("noop")
    with stand.noop_broker() as broker, app.producer_pool.acquire(block=True) as producer:
        with producer.batch():
            for each in range(number):
                app.send_task("emit", [each], queue="emit", producer=producer)
        started = stand.go("noop")
        return (stand.until(lambda: broker.hlen(f"{noop.ARRIVED}:emit") == number) - started) / number


def _report(result: Result, database: str, costs: list[dict[str, Any]], hop: float, commit: float) -> None:
    result.figures[f"{database} one empty task, ms"] = [hop]
    result.figures[f"{database} one bare commit, ms"] = [commit]
    numbers = result.table(f"Per piece of work, {database}", "", "queries", "commits", "Redis", "calls to Credly")
    times = result.table(
        f"Milliseconds per piece of work, {database}", "", *(NAMES.get(kind, kind) for kind in KINDS), "all"
    )
    shares: dict[str, dict[str, float]] = {}
    for work in costs[0]:
        per = {
            what: median([run[work][group][what] / run[work]["pieces"] for run in costs])
            for group in ("numbers", "seconds")
            for what in costs[0][work][group]
            if what != "redis"
        }
        redis = {
            group: median([run[work][group]["redis"] / run[work]["pieces"] for run in costs])
            for group in ("numbers", "seconds")
        }
        seconds = {kind: redis["seconds"] if kind == "redis" else per[kind] for kind in KINDS}
        numbers.add(
            work, *(f"{value:.1f}" for value in (per["queries"], per["commits"], redis["numbers"], per["calls"]))
        )
        times.add(work, *(f"{seconds[kind] * 1000:.2f}" for kind in KINDS), f"{sum(seconds.values()) * 1000:.2f}")
        stage, size, _ = work.replace(",", "").split()
        if int(size) == IN_A_BACKLOG[stage]:
            shares[stage] = {kind: value * 1000 / int(size) for kind, value in seconds.items()}
            shares[stage]["worker"] = 0.0 if stage == "consume" else hop / int(size)
    kinds = (*KINDS, "worker")
    total = sum(sum(kinds_of.values()) for kinds_of in shares.values())
    table = result.table(
        f"Share of an event's whole time in a backlog, {database} (all: {total:.1f} ms)",
        "stage",
        *(NAMES.get(kind, kind) for kind in kinds),
        "all",
    )
    for stage, of in shares.items():
        table.add(stage, *(f"{of[kind] / total:.1%}" for kind in kinds), f"{sum(of.values()) / total:.1%}")
    sums = {kind: sum(of[kind] for of in shares.values()) for kind in kinds}
    table.add("all", *(f"{sums[kind] / total:.1%}" for kind in kinds), "100%")
    table = result.table(f"For comparison, {database}", "", "ms")
    table.add("one empty task in Celery's worker", f"{hop:.2f}")
    table.add("one bare commit", f"{commit:.2f}")
    bars = {NAMES.get(kind, kind): [(place, of[kind]) for place, of in enumerate(shares.values())] for kind in kinds}
    result.charts.append(Chart(f"Whose time it is, {database}", "", "ms per event", bars, labels=list(shares)))


if __name__ == "__main__":
    main(measure)
