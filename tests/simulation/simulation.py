"""One seed: the way of an event in one process, under a scheduler that interleaves, repeats, drops, reorders and kills."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from unittest.mock import patch

from django.db import OperationalError, connection
from django.utils import timezone

import tasks.emit
import tasks.evaluate
import tasks.housekeeping
import tasks.issue
import tasks.persist
from pipeline import nudges
from pipeline.bus import producer
from pipeline.clock import ClockWatch
from pipeline.configuration import gate, organizations
from pipeline.ledgers import claims, holdings, inbox
from pipeline.models import Badge, CredlyState, Event, EventStatus, Signal
from pipeline.stages import clock_change
from pipeline.stages.consume import InboxConsumer
from tests.simulation import promises, scenario, school
from tests.simulation.bus import TOPIC, Broker, Bus, Message, Reader
from tests.simulation.credly import Broken, Credly
from tests.simulation.scheduler import Crash, Scheduler, Worker

COMMAND = "DEBUG=true .venv/bin/python -m tests.simulation {seed} --trace"

HOUSEKEEPING_INTERVALS = (5.0, 5.0, 30.0)
"""Seconds: beat sends it every 5, but its queue may be long.  One that would find nothing is left out, to save time."""

ANYTHING_DUE = " UNION ALL ".join(
    f"SELECT 1 FROM pipeline_{table} WHERE due_at <= %s" for table in ("event", "badge", "signal")
)

MOST_STEPS = 6000
LONGEST = 6 * 3600.0
"""Seconds of simulated time after which something that still waits counts as stuck: backoff alone ends within ten minutes."""

WRONG_BY = (60.0, 600.0, 3600.0, 86_400.0)
"""Seconds by which the wall clock goes ahead, until it is set back to the true time."""

OUTAGE_SECONDS = (60.0, 1200.0)
"""Long enough for the circuit to open, and to fail probes."""

TASKS = {
    "evaluate": tasks.evaluate.evaluate,
    "persist": tasks.persist.persist,
    "issue": tasks.issue.issue,
    "emit": tasks.emit.emit,
}


def simulate(
    seed: int, trace: list[str] | None = None, *, housekeeping: bool = True, rates: Mapping[str, float] | None = None
) -> Counter[str]:
    """Run one seed to its end, in the database of `school.database`; returns what happened how often.

    Args:
        seed: decides everything.
        trace: gets a line per step.
        housekeeping: off in a control only.
        rates: of faults, in place of what the seed draws; in a control only.

    Raises:
        Broken: a promise is.
    """
    return Simulation(seed, trace, housekeeping=housekeeping, rates=rates or {}).run()


def explained(seed: int, broken: Broken, lines: int = 80) -> str:
    """What broke, the last steps that led there, and the command that repeats them."""
    trace: list[str] = []
    with suppress(Broken):
        simulate(seed, trace)
    command = COMMAND.format(seed=seed)
    return "\n".join([f"Seed {seed}: {broken}", "The last steps:", *trace[-lines:], f"Repeat it: {command}"])


class Simulation:
    """The parts of one seed, and what may happen next."""

    def __init__(self, seed: int, trace: list[str] | None, *, housekeeping: bool, rates: Mapping[str, float]) -> None:
        self._chance = random.Random(seed)
        self._scenario = scenario.draw(self._chance)
        self._rates = {**self._scenario.rates, **rates}
        self._scheduler = Scheduler(self._chance, trace)
        self._bus = Bus(self._scheduler, self._scenario.published)
        self._broker = Broker(self._scheduler)
        self._credly = Credly(self._scheduler, school.credly_seed())
        self._consumers = {
            name: InboxConsumer(TOPIC, "group", consumer_name=name) for name in ("consumer1", "consumer2")
        }
        self._watch = ClockWatch()
        self._watch.noted(self._scheduler.ahead)
        self._housekeeping = housekeeping
        self._next_housekeeping = 0.0
        self._signals_seen = 0
        self._set_rates()

    def run(self) -> Counter[str]:
        school.clear()
        with self._in_place():
            for step in range(MOST_STEPS):
                if step == self._scenario.storm:
                    self._calm()
                if not self._step() and not self._bring_back():
                    promises.check_end(self._scenario, self._credly, self._bus)
                    return self._scheduler.counts
                self._signals_seen = self._check_signals()
        raise Broken(f"no end after {MOST_STEPS} steps: {self._waiting()}")

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """The world outside is replaced: clock, chance, bus, broker and the line to Credly."""
        replaced = (
            (timezone, "now", self._scheduler.wall),
            (claims, "random", self._chance),
            (nudges, "_publish", self._broker.publish),
            (producer, "publish", self._bus.publish),
            (organizations, "_client", self._credly.client),
            (clock_change, "ahead", lambda: self._scheduler.ahead),
            (clock_change, "_watch", self._watch),
            (gate, "MOST_FAILURES", self._scenario.failures),
        )
        with ExitStack() as stack:
            for place, name, part in replaced:
                stack.enter_context(patch.object(place, name, part))
            stack.enter_context(connection.execute_wrapper(self._scheduler.query))
            stack.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.CRITICAL)
            yield

    def _set_rates(self) -> None:
        self._broker.loss_rate, self._broker.repeat_rate = self._rates["loss"], self._rates["repeat"]
        self._bus.fault_rate, self._credly.fault_rate = self._rates["bus"], self._rates["credly"]

    def _calm(self) -> None:
        """From now on nothing goes wrong."""
        self._scheduler.note("calm")
        self._rates = dict.fromkeys(self._rates, 0.0)
        self._credly.key_dead = False
        self._set_rates()

    def _bring_back(self) -> bool:
        """Put back, as a person would, what was killed or stalled so often by chance that it was taken for poison.

        Raises:
            Broken: one was set aside with too few halts since it was last put back.
        """
        taken_for_poison = {"error__startswith": "Taken up"}
        events = list(Event.objects.filter(status="failed", **taken_for_poison).values_list("pk", flat=True))
        badges = list(Badge.objects.filter(credly_state=CredlyState.FAILED, **taken_for_poison))
        for work in [*(f"persist {str(event)[:4]}" for event in events), *(f"issue {badge.pk}" for badge in badges)]:
            halts = self._scheduler.halts.pop(work, 0)
            if halts < claims.MOST_TAKEN_UP:
                raise Broken(f"{work} was set aside, though it was killed or stalled only {halts} times")
            self._scheduler.note("set aside")
        put_back = [holdings.redrive(badge) for badge in badges]
        return bool(inbox.redrive(events)) or any(put_back)

    def _step(self) -> bool:
        """Let one thing happen; False if nothing is left to do."""
        pressing = self._scheduler.pressing
        if pressing:
            self._go_on(self._chance.choice(pressing))
            return True
        if self._mishap():
            return True
        possible: list[Callable[[], None]] = [partial(self._go_on, worker) for worker in self._scheduler.awake]
        if len(self._scheduler.workers) < self._scenario.workers:
            possible += self._jobs()
        if possible and self._chance.random() >= self._rates["tick"]:
            self._chance.choice(possible)()
            return True
        return self._let_time_pass(idle=not possible)

    def _jobs(self) -> list[Callable[[], None]]:
        busy = {worker.name for worker in self._scheduler.workers}
        jobs: list[Callable[[], None]] = [self._take_message] if self._broker.waiting else []
        jobs += [
            partial(self._consume, name) for name in self._consumers if name not in busy and self._bus.readable(name)
        ]
        if self._housekeeping and self._scheduler.now >= self._next_housekeeping:
            if self._anything_due() or self._watch.moved(self._scheduler.ahead):
                jobs.append(self._keep_house)
            else:
                self._next_housekeeping = self._scheduler.now + 1
        return jobs

    def _anything_due(self) -> bool:
        now = connection.ops.adapt_datetimefield_value(self._scheduler.wall())
        with connection.cursor() as cursor:
            return cursor.execute(ANYTHING_DUE, [now] * 3).fetchone() is not None

    def _take_message(self) -> None:
        message = self._broker.give_out()
        self._scheduler.start(
            f"{message.task} {_named(message)}",
            partial(TASKS[message.task].run, *message.arguments),
            partial(self._broker.give_back, message),
        )

    def _consume(self, name: str) -> None:
        reader = Reader(self._scheduler, self._bus, name)
        self._scheduler.start(name, partial(self._consumers[name]._consume_batch, reader))

    def _keep_house(self) -> None:
        self._next_housekeeping = self._scheduler.now + self._chance.choice(HOUSEKEEPING_INTERVALS)
        self._scheduler.start("housekeeping", tasks.housekeeping.housekeeping.run)

    def _go_on(self, worker: Worker) -> None:
        mortal = self._scheduler.is_mortal(worker)
        if mortal and self._happens("crash"):
            self._scheduler.kill(worker)
            return
        if worker.may_stall and self._happens("stall"):
            self._scheduler.stall(worker, self._chance.uniform(1, 120))
            return
        if mortal and self._happens("crash in a transaction"):
            self._scheduler.strike(worker, Crash)
        elif mortal and self._happens("database cut"):
            self._scheduler.strike(worker, OperationalError)
        self._scheduler.resume(worker)

    def _mishap(self) -> bool:
        """Something that befalls nobody in particular."""
        if self._happens("wipe"):
            self._scheduler.note("broker wiped", f"{len(self._broker.waiting)} messages")
            self._broker.wipe()
        elif self._happens("clock"):
            self._scheduler.set_clock(self._scheduler.ahead - self._chance.uniform(0, 2))
        elif self._scheduler.nobody_has_read_the_clock and self._happens("clock goes wrong"):
            self._scheduler.set_clock(self._chance.choice(WRONG_BY) if self._scheduler.ahead <= 0 else 0.0)
        elif self._happens("outage"):
            self._credly.away_until = self._scheduler.now + self._chance.uniform(*OUTAGE_SECONDS)
            self._scheduler.note("outage")
        elif self._happens("key"):
            self._credly.key_dead = not self._credly.key_dead
            self._scheduler.note("key", "dead" if self._credly.key_dead else "works")
        else:
            return False
        return True

    def _happens(self, what: str) -> bool:
        rate = self._rates[what]
        return rate > 0 and self._chance.random() < rate

    def _let_time_pass(self, *, idle: bool) -> bool:
        now = self._scheduler.now
        if not idle:
            self._scheduler.advance(now + self._chance.expovariate(1.0))
            return True
        moments = [self._scheduler.next_moment(), self._bus.next_moment()]
        coming = [moment for moment in moments if moment is not None]
        if not coming and not self._scheduler.workers and not self._broker.waiting:
            waiting = self._waiting()
            if not waiting:
                return False
            if not self._housekeeping or now > LONGEST:
                raise Broken(f"stuck: {waiting}")
        ahead = [moment for moment in coming if moment > now]
        self._scheduler.advance(min([now + self._chance.choice((5, 10, 30)), *ahead]))
        return True

    def _waiting(self) -> dict[str, int]:
        """What the database has still to do, by kind."""
        due = {
            "events": Event.objects.filter(status=EventStatus.RECEIVED),
            "badges": Badge.objects.filter(due_at__isnull=False),
            "signals": Signal.objects.filter(due_at__isnull=False),
        }
        counts = {kind: rows.count() for kind, rows in due.items()}
        return {kind: number for kind, number in counts.items() if number}

    def _check_signals(self) -> int:
        if not self._scheduler.wrote_signal:
            return self._signals_seen
        self._scheduler.wrote_signal = False
        return promises.check_new_signals(self._credly, self._signals_seen)


def _named(message: Message) -> str:
    [argument] = message.arguments
    if isinstance(argument, list):
        return ",".join(str(each)[:4] for each in argument)
    return str(argument)[:4]
