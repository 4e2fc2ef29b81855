"""Events that each earn a badge, all the way to Credly and to the signal on the bus.

The processes stand still while the events are published; the clock runs from their start until the last signal is sent.  Every
learner is new, and each event matches one of twenty templates.  At 0 ms per call what is sought is how much the machine
carries; there are as many `credly` processes as `worker` processes, so with two of each four work, and twenty calls at once
over all of them.  At 200 ms it is whether all these calls are really out (five in each of four `credly` processes), between
the first and the last tenth of the calls: from badges that are due already, and from the bus, where the stages before share
the processors.  Beside the rates at 0 ms stand those of the same way with empty tasks, one message for each event and stage:
what Celery itself would need.
"""

from celery import Celery

from benchmarks import noop
from benchmarks.results import Chart, Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

WORKERS = (1, 2, 4)
CALLS_AT_ONCE = 20
LATENCY = 0.2
PEER_RATE, PEER_TIMES = 7.2, 30
WANTED_AT_200 = 0.9


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("to_credly", "Events that earn a badge", __doc__ or "")
    workers = session.pick(WORKERS, (1, 4))
    for database in session.databases:
        for each in workers:
            with session.stand(database, _processes(each), calls_at_once=CALLS_AT_ONCE // each) as stand:
                stand.noop(each)
                stand.wait_until_ready()
                _run_at_zero(session, stand, result, f"{database} {each}", warm=100 * each)
        with session.stand(database, _processes(4), calls_at_once=CALLS_AT_ONCE // 4) as stand:
            stand.credly("POST", "latency", {"seconds": LATENCY})
            _run_at_200(session, stand, result, database)
    _report(result, session.databases, workers)
    return result


def _processes(workers: int) -> dict[str, int]:
    return {"consumer": 1, "worker": workers, "credly": workers}


def _run_at_zero(session: Session, stand: Stand, result: Result, key: str, warm: int) -> None:
    _earn(stand, warm)  # connections are opened, rules compiled, in every process
    _noop(stand, warm)
    number = session.enough(warm / _earn(stand, warm), most=3_000)
    for _ in session.track(f"Earning badges, {key} worker(s)", range(session.runs)):
        before = stand.cpu_seconds()
        result.note(f"{key} badges/s", number / _earn(stand, number))
        for kind, seconds in stand.cpu_seconds().items():
            result.note(f"{key} processor {kind}", (seconds - before.get(kind, 0.0)) / number * 1000)
        result.note(f"{key} no-op/s", number / _noop(stand, number))
    _check(stand)


def _run_at_200(session: Session, stand: Stand, result: Result, database: str) -> None:
    number = session.pick(800, 200)
    _earn(stand, 400)
    for _ in session.track(f"Earning badges at 200 ms, {database}", range(session.runs)):
        for way, earn in (("from the bus", _earn), ("from due badges", _earn_due)):
            known = len(stand.calls())
            earn(stand, number)
            calls = sorted(stand.calls()[known:])
            first, last = len(calls) // 10, len(calls) * 9 // 10
            result.note(f"{database} calls/s {way}", (last - first) / (calls[last] - calls[first]))
    _check(stand)


def _earn_due(stand: Stand, number: int) -> None:
    """The same, but `credly` stands still until all badges are due."""
    made = stand.matching(number)
    stand.hold("credly")
    last = stand.publish(made)
    stand.until(lambda: stand.acknowledged(last) and stand.ledger.waiting() != "event", 180)
    stand.go("credly")
    stand.until(stand.settled, 180)


def _earn(stand: Stand, number: int) -> float:
    """Seconds from the bus until the last signal is sent."""
    made = stand.matching(number)
    stand.hold("consumer", "worker", "credly")
    last = stand.publish(made)
    started = stand.go("consumer", "worker", "credly")
    ended = stand.until(lambda: stand.worked_off(last), 180)
    stand.until(stand.settled)
    return ended - started


def _noop(stand: Stand, number: int) -> float:
    """Seconds from the first empty task until the last of as many chains ends: persist, issue, emit."""
    app = Celery(broker=stand.noop_url)
    stand.hold("noop")
    with stand.noop_broker() as broker, app.producer_pool.acquire(block=True) as producer:
        broker.delete(f"{noop.ARRIVED}:emit")
        with producer.batch():
            for each in range(number):
                app.send_task("persist", [each], queue="persist", producer=producer)
        started = stand.go("noop")
        return stand.until(lambda: broker.hlen(f"{noop.ARRIVED}:emit") == number) - started


def _check(stand: Stand) -> None:
    """Every learner holds exactly one badge, and each is told by one signal."""
    badges = stand.credly("GET", "ledger")["badges"]
    holders = {badge["issuer_earner_id"] for badge in badges}
    sent = stand.ledger.count("signal", "state = 'sent'")
    if not len(badges) == len(holders) == sent == stand.learners:
        raise RuntimeError(f"{stand.learners} learners, {len(badges)} badges of {len(holders)} of them, {sent} signals")


def _report(result: Result, databases: tuple[str, ...], workers: tuple[int, ...]) -> None:
    table = result.table(
        "Badges per second, Credly at 0 ms",
        "`worker` processes",
        *databases,
        *(f"empty tasks ({d})" for d in databases),
    )
    for each in workers:
        figures = [
            result.figures[f"{database} {each} {what}"] for what in ("badges/s", "no-op/s") for database in databases
        ]
        table.add(str(each), *map(spread, figures))
    result.charts.append(
        Chart(
            "Events that earn a badge, Credly at 0 ms",
            "`worker` processes",
            "badges/s",
            {
                f"{database}{name}": [(each, median(result.figures[f"{database} {each} {what}"])) for each in workers]
                for database in databases
                for what, name in (("badges/s", ""), ("no-op/s", ", empty tasks"))
            },
        )
    )
    _report_processor_time(result, databases, max(workers))
    wanted = CALLS_AT_ONCE / LATENCY
    calls = result.table(f"Calls per second, Credly at 200 ms, {CALLS_AT_ONCE} at once", "", *databases)
    for way in ("from due badges", "from the bus"):
        calls.add(
            f"our calls, {way}", *(spread(result.figures[f"{database} calls/s {way}"], 1) for database in databases)
        )
    calls.add("calls at once ÷ latency", *(f"{wanted:.0f}" for _ in databases))
    for database in databases:
        for each in workers[1:]:
            times = median(result.figures[f"{database} {each} badges/s"]) / PEER_RATE
            result.target(
                f"badges/s with {each} `worker` and {each} `credly`, times the peer, {database}",
                str(PEER_TIMES),
                f"{times:.0f}",
                times >= PEER_TIMES,
            )
        share = median(result.figures[f"{database} calls/s from due badges"]) / wanted
        result.target(
            f"calls at 200 ms, of calls at once ÷ latency, {database}",
            f"{WANTED_AT_200:.0%}",
            f"{share:.0%}",
            share >= WANTED_AT_200,
        )


def _report_processor_time(result: Result, databases: tuple[str, ...], workers: int) -> None:
    """Where the processors' time goes."""
    table = result.table(f"Processor time per badge in ms, {workers} workers", "process", *databases)
    prefixes = [f"{database} {workers} processor " for database in databases]
    kinds = {key.removeprefix(prefix) for prefix in prefixes for key in result.figures if key.startswith(prefix)}
    for kind in sorted(kinds):
        figures = [result.figures.get(f"{prefix}{kind}") for prefix in prefixes]
        if not kind.startswith("noop") and any(figure and median(figure) >= 0.01 for figure in figures):
            table.add(kind, *(spread(figure, 2) if figure else "" for figure in figures))


if __name__ == "__main__":
    main(measure)
