"""Taking in: from the bus into the inbox and the queue, acknowledged.

One consumer empties a stream of events that were published while it stood still; no worker runs.  Beside it, on the same
messages and in turn with it, the floors: the same reads of 500 with nothing decoded, decoded by our codec, decoded by Open
edX's own functions, and decoded and inserted by one statement of the bare driver.  The share that is wanted is that of the
floor with Open edX's functions, since that is how the bare machine was measured for us; our codec makes a harder floor.
"""

from collections.abc import Iterator

from benchmarks.load import again
from benchmarks.results import Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import GROUP, Stand

FLOORS = ("read", "stock", "decode", "insert")
NAMES = {
    "consumer": "**our consumer: stored, queued, acknowledged**",
    "read": "read and acknowledge only",
    "stock": "read, decode with Open edX's functions, acknowledge",
    "decode": "read, decode with our codec, acknowledge",
    "insert": "the same and a bare INSERT of each batch",
}
WANTED = 0.6


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("taking_in", "Taking in", __doc__ or "")
    table = result.table("Events per second, one process", "", *session.databases)
    for database in session.databases:
        with session.stand(database, {"consumer": 1}) as stand:
            for who, rate in _rates(session, stand, database):
                result.note(f"{database} {who}", rate)
        ours, decoded, stock = (median(result.figures[f"{database} {who}"]) for who in ("consumer", "decode", "stock"))
        result.target(
            f"taking in, share of the floor (read, decode with Open edX's functions, acknowledge), {database}",
            f"{WANTED:.0%}",
            f"{ours / stock:.0%} ({ours / decoded:.0%} of the floor that decodes with our own codec)",
            ours / stock >= WANTED,
        )
    for who, name in NAMES.items():
        table.add(name, *(spread(result.figures[f"{database} {who}"]) for database in session.databases))
    return result


def _rates(session: Session, stand: Stand, database: str) -> Iterator[tuple[str, float]]:
    """Events per second of each, run after run."""
    for floor in FLOORS:
        stand.floor(floor)
    stand.wait_until_ready()
    everyone = ["consumer", *(f"floor.{floor}" for floor in FLOORS)]
    messages = stand.matching(session.pick(20_000, 5_000))
    first = stand.publish(messages[:500])
    for who in everyone:
        _wait(stand, first, who)
    number = 500
    for run in session.track(f"Taking in, {database}", range(session.pick(5, 2))):
        stand.hold(*everyone)
        last = stand.publish(again(messages))
        number += len(messages)
        for who in everyone[run % len(everyone) :] + everyone[: run % len(everyone)]:
            started = stand.go(who)
            ended = _wait(stand, last, who)
            stand.hold(who)
            yield who.removeprefix("floor."), len(messages) / (ended - started)
        stand.forget_read(last)
    if stand.ledger.count("event") != number:
        raise RuntimeError(f"{stand.ledger.count('event')} events in the inbox, and not {number}")


def _wait(stand: Stand, last: bytes, who: str) -> float:
    group = GROUP if who == "consumer" else who.replace(".", "-")
    return stand.until(lambda: stand.acknowledged(last, group), every=0.002)


if __name__ == "__main__":
    main(measure)
