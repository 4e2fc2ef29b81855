"""A backfill, alone and while live events come in.

The inbox holds kept events: of twenty, one earns the badge of the first template and one that of the second, and the others
match nothing.  The first template's backfill runs alone.  Then live events that match nothing come in, by themselves, and once
more while the second template's backfill runs: batch after batch as fast as the consumer takes them.  One consumer, two
`worker` processes, one `credly`, one beat.
"""

import sys
import time

from benchmarks.load import ELSEWHERE, Message, again, course, messages
from benchmarks.results import Result, median, spread
from benchmarks.session import Session, main
from benchmarks.stand import Stand

ALONE, BESIDE = 2, 3
"""The templates whose badge kept events earn; the first one of all is active from the start and asks for none of them."""

EACH = 20
"""One in so many kept events earns the badge of each."""

LIVE = 10**6
"""The learners of live events have greater LMS user ids than this."""

WANTED = 0.8
"""Of the rate of live events while no backfill runs: two processes more share the machine."""


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("backfill", "A backfill beside live events", __doc__ or "")
    number = session.pick(100_000, 4_000)
    live = session.pick(10_000, 1_000)
    for database in session.databases:
        with session.stand(database, {"consumer": 1, "worker": 2, "credly": 1, "beat": 1}) as stand:
            _keep(stand, number)
            bar = session.progress.add_task(f"Backfill, {database}", total=3)
            _alone(stand, result, database, number)
            session.progress.advance(bar)
            made = messages(live, first_learner=LIVE + 1)
            for _ in range(session.runs):
                _note(result, f"{database} {{}} alone", _take_in(stand, made))
            session.progress.advance(bar)
            _beside(stand, result, database, made, session.pick(6, 2))
            session.progress.remove_task(bar)
    _report(result, session.databases, number)
    return result


def _keep(stand: Stand, number: int) -> None:
    """Fill the inbox, and wait until all of it is ignored."""
    stand.activate(1)
    courses = [course(ALONE), course(BESIDE), *[ELSEWHERE] * (EACH - 2)]
    last = stand.publish(messages(number, courses))
    stand.until(lambda: stand.worked_off(last), seconds=600, every=0.1)
    if stand.ledger.counts("event", "status") != {"ignored": number}:
        raise RuntimeError(f"not all were ignored: {stand.ledger.counts('event', 'status')}")
    stand.forget_read(last)


def _alone(stand: Stand, result: Result, database: str, number: int) -> None:
    stand.activate(ALONE)
    started = _begin(stand, ALONE)
    ended = stand.until(lambda: stand.ledger.any("backfill", "state = 'done'"), seconds=600, every=0.05)
    result.note(f"{database} backfill alone", number / (ended - started))
    stand.until(lambda: not stand.ledger.waiting(), seconds=600, every=0.1)
    badges = stand.ledger.count("badge", "credly_id IS NOT NULL")
    if badges != number // EACH:
        raise RuntimeError(f"{number // EACH} badges were to be earned, not {badges}")


def _beside(stand: Stand, result: Result, database: str, made: list[Message], batches: int) -> None:
    stand.activate(BESIDE)
    started, looked_at = _begin(stand, BESIDE), 0
    for _ in range(batches):
        if not stand.ledger.any("backfill", "state = 'running'"):
            break
        _note(result, f"{database} {{}} beside", _take_in(stand, made))
        [(looked_at,)] = stand.ledger.rows("SELECT looked_at FROM pipeline_backfill ORDER BY id DESC LIMIT 1")
        result.note(f"{database} backfill beside", looked_at / (time.monotonic() - started))


def _note(result: Result, name: str, rates: dict[str, float]) -> None:
    for what, rate in rates.items():
        result.note(name.format(what), rate)


def _begin(stand: Stand, template: int) -> float:
    """Begin a backfill; returns the time once it has begun, as `time.monotonic`."""
    command = [sys.executable, "manage.py", "backfill", str(stand.template(template))]
    stand.start_process(f"backfill.{template}", command)
    return stand.until(lambda: stand.ledger.any("backfill", "state = 'running'"), seconds=60)


def _take_in(stand: Stand, made: list[Message]) -> dict[str, float]:
    """Live events per second, from the bus into the inbox, and from the bus to `ignored`."""
    stand.hold("consumer")
    last = stand.publish(again(made))
    started = stand.go("consumer")
    taken_in = stand.until(lambda: stand.acknowledged(last), seconds=300)
    ignored = stand.until(lambda: not stand.ledger.any("event", f"status = 'received' AND lms_user_id > {LIVE}"), 300)
    stand.forget_read(last)
    return {"taken in": len(made) / (taken_in - started), "ignored": len(made) / (ignored - started)}


def _report(result: Result, databases: tuple[str, ...], number: int) -> None:
    for database in databases:
        figures = {name: result.figures[f"{database} {name}"] for name in NAMES}
        table = result.table(f"Events per second, {number:,} kept events, {database}", "", "alone", "both at once")
        for what, name in (
            ("backfill", "the backfill"),
            ("taken in", "live, taken in"),
            ("ignored", "live, to `ignored`"),
        ):
            table.add(name, *(spread(figures[f"{what} {when}"]) for when in ("alone", "beside")))
        share = median(figures["taken in beside"]) / median(figures["taken in alone"])
        result.target(
            f"taking in live events beside a backfill, of the rate without, {database}",
            f"{WANTED:.0%}",
            f"{share:.0%}",
            share >= WANTED,
        )


NAMES = [f"{what} {when}" for what in ("backfill", "taken in", "ignored") for when in ("alone", "beside")]


if __name__ == "__main__":
    main(measure)
