"""The seeded scheduler: workers as greenlets on one thread and one database connection, and a clock of its own.

A worker gives way at every *point*: before each query outside a transaction (the BEGIN of one included), before and after
each call to Credly, each hand-over to the broker and each operation of the bus.  Inside a transaction it does not:
transactions that write are serial in the database (SQLite begins them IMMEDIATE; elsewhere the lock on the learner and the
conditional updates see to it), so interleaving at these points is what real concurrency can do to us.  It may die at any
point and, by its transaction's rollback, before any query inside one: that is SIGKILL.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from greenlet import getcurrent, greenlet
from redis.exceptions import RedisError

START = datetime(2026, 5, 1, 12, tzinfo=UTC)

LIVELY = 1.5
"""Seconds within which a living process goes on from one point to the next where a claim counts on it: a claim lasts 40 s,
and the longest call 33 s.  Credly has no fence: who sleeps between taking a claim and the call can issue twice."""

MOST_QUERIES = 14
"""A worker that is to die in a transaction does so before one of so many queries."""


_WRITES_SIGNAL = 'INSERT INTO "pipeline_signal"'


CALLING = ("before GET", "before POST", "before PUT", "the answer to")
"""How the points begin where a call is out, or about to go."""

MOST_DEATHS = 2
"""Workers that may die of the same work: what kills more counts as poison and is set aside, which is tested elsewhere."""


class Crash(BaseException):
    """The worker's process is killed here."""


@dataclass(eq=False)
class Worker:
    """One job of one process: a task, a batch of a consumer, or housekeeping."""

    name: str
    greenlet: greenlet = field(repr=False)
    on_crash: Callable[[], None]
    at: str = "its start"
    wakes: float = 0.0  # sleeps until then
    goes_on_by: float = float("inf")  # the clock waits for it there
    may_stall: bool = True
    fault: type[BaseException] | None = None  # what strikes it in a transaction ...
    queries_left: int = 0  # ... before this many more queries

    @property
    def work(self) -> list[str]:
        """What it works on, one by one: an event is evaluated, then persisted."""
        task, _, ids = self.name.replace("evaluate", "persist").partition(" ")
        return [f"{task} {each}" for each in ids.split(",")]


class Scheduler:
    """Runs workers one at a time, decides by its `random` alone, and keeps the time.

    `now` is the true time in seconds, which nobody can set; `wall` is what the pipeline sees, `ahead` of it or behind.
    """

    def __init__(self, chance: random.Random, trace: list[str] | None) -> None:
        self.random = chance
        self.now = 0.0
        self.workers: list[Worker] = []
        self.counts: Counter[str] = Counter()
        self.trace = trace
        self.halts: Counter[str] = Counter()
        """How often work was killed or stalled on the way, each of which may leave it taken up without a result."""
        self._deaths: Counter[str] = Counter()
        self.wrote_signal = False
        self.ahead = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._hub = getcurrent()
        self._current: Worker | None = None
        self._last: Worker | None = None

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now + self.ahead)

    def set_clock(self, ahead: float) -> None:
        """The wall clock is set, to be so many seconds ahead of the true time."""
        self.note("clock", f"set by {ahead - self.ahead:+.1f} s")
        self.ahead = ahead

    def note(self, what: str, line: str = "") -> None:
        """Count something that happened and, if anyone looks, write it down."""
        self.counts[what] += 1
        if self.trace is not None:
            who = self._current.name if self._current else "-"
            self.trace.append(f"{self.now:8.2f}  {who:<14} {what}{': ' if line else ''}{line}")

    def start(self, name: str, job: Callable[[], Any], on_crash: Callable[[], None] = lambda: None) -> None:
        worker = Worker(name, greenlet(lambda: self._do(job), parent=self._hub), on_crash)
        self.workers.append(worker)
        self.note("start", name)

    def _do(self, job: Callable[[], Any]) -> None:
        try:
            job()
        except Crash:
            self.note("killed")
        except (OperationalError, InterfaceError, RedisError) as error:
            self.note("gave up", type(error).__name__)

    def resume(self, worker: Worker) -> None:
        """Let a worker run to its next point."""
        if worker is not self._last:
            self.counts["switch"] += 1
        self._last = worker
        self._switch(worker, worker.greenlet.switch)
        worker.fault = None

    def is_mortal(self, worker: Worker) -> bool:
        """Whether one more may die of this work."""
        return all(self._deaths[each] < MOST_DEATHS for each in worker.work)

    def kill(self, worker: Worker) -> None:
        """End a worker where it stands."""
        self._deaths.update(worker.work)
        self._halt(worker)
        self.counts["crash"] += 1
        self.note("SIGKILL", f"{worker.name} at {worker.at}")
        if worker.greenlet:  # it has begun
            self._switch(worker, lambda: worker.greenlet.throw(Crash))
        else:
            self.workers.remove(worker)
        worker.on_crash()

    def stall(self, worker: Worker, seconds: float) -> None:
        """Have a worker sleep where it stands."""
        self._halt(worker)
        worker.wakes = self.now + seconds
        self.note("stall", f"{worker.name} at {worker.at}")

    def oversleep(self) -> None:
        """The worker of this moment will hear its answer only after its claim ran out."""
        if self._current:
            self._halt(self._current)

    def _halt(self, worker: Worker) -> None:
        self.halts.update(worker.work)

    def strike(self, worker: Worker, fault: type[BaseException]) -> None:
        """Have a worker fail somewhere in the transaction it is about to make, if it makes one."""
        worker.fault, worker.queries_left = fault, self.random.randint(0, MOST_QUERIES)

    def _switch(self, worker: Worker, into: Callable[[], Any]) -> None:
        self._current = worker
        try:
            into()
        finally:
            self._current = None
        if worker.greenlet.dead:
            self.workers.remove(worker)

    def point(self, what: str, *, may_stall: bool = True, until: float = 0.0) -> None:
        """A worker gives way here, and sleeps at least `until` then; outside a worker nothing happens."""
        worker = self._current
        if worker is None:
            return
        worker.at, worker.may_stall, worker.wakes = what, may_stall, until
        worker.goes_on_by = float("inf") if may_stall else max(until, self.now) + LIVELY
        self._hub.switch()

    def query(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Django's execute wrapper: gives way outside transactions, and strikes inside."""
        worker = self._current
        if worker is None:
            return execute(sql, params, many, context)
        if not connection.in_atomic_block:
            # An update that extends a claim took the time before it waits here.
            self.point(_shown(sql), may_stall=not worker.name.startswith("issue"))
        elif worker.fault is not None:
            worker.queries_left -= 1
            if worker.queries_left < 0:
                self._strike(worker, sql)
        if self.trace is not None:
            self.trace.append(f"{self.now:8.2f}  {worker.name:<14}     {_shown(sql)}")
        self.wrote_signal |= sql.startswith(_WRITES_SIGNAL)
        return execute(sql, params, many, context)

    def _strike(self, worker: Worker, sql: str) -> None:
        fault, worker.fault = worker.fault, None
        assert fault is not None
        self._deaths.update(worker.work)
        self.counts["crash" if fault is Crash else "database cut"] += 1
        self.note(fault.__name__, f"in a transaction, before {_shown(sql)}")
        if fault is Crash:
            self._halt(worker)
            worker.on_crash()
        raise fault

    def at(self, time: float, effect: Callable[[], None]) -> None:
        """Have something happen at a true time, whatever becomes of the worker that began it."""
        heapq.heappush(self._timers, (time, next(self._numbers), effect))

    @property
    def awake(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.wakes <= self.now]

    @property
    def pressing(self) -> list[Worker]:
        """Workers for which the clock waits."""
        return [worker for worker in self.awake if worker.goes_on_by <= self.now]

    @property
    def nobody_has_read_the_clock(self) -> bool:
        """Whether nobody is about to write a time that was read before: those there are have calls out to Credly."""
        return all(worker.at.startswith(CALLING) for worker in self.workers)

    def next_moment(self) -> float | None:
        """When a sleeper wakes or something happens; None if nothing will."""
        moments = [worker.wakes for worker in self.workers if worker.wakes > self.now]
        moments += [time for time, _, _ in self._timers[:1]]
        return min(moments, default=None)

    def advance(self, to: float) -> None:
        """Let time pass up to then, or until a worker must go on; what is to happen on the way happens."""
        to = min([to, *(worker.goes_on_by for worker in self.workers)])
        while self._timers and self._timers[0][0] <= to:
            time, _, effect = heapq.heappop(self._timers)
            self.now = max(self.now, time)
            effect()
        self.now = max(self.now, to)


def _shown(sql: str) -> str:
    """The statement in a few words."""
    words = sql.replace('"', "").replace("pipeline_", "").split()
    verb = words[0]
    if verb == "UPDATE":
        changed = sql.partition(" SET ")[2].partition(" WHERE ")[0]
        columns = [part.partition(" = ")[0].strip(' "') for part in changed.split(", ") if " = " in part]
        return f"UPDATE {words[1]} {', '.join(columns)}"
    if "INTO" in words:
        return f"INSERT {words[words.index('INTO') + 1]}"
    return f"{verb} {words[words.index('FROM') + 1]}" if "FROM" in words else verb
