"""Random faults while learners' events come in: the rounds of the long run."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.lms.events import LmsEvent
from tests.faults.cluster import Cluster
from tests.faults.databases import Server
from tests.faults.fuses import Blow, Fuse
from tests.faults.points import POINTS
from tests.faults.redis_faults import away, cut, full, insist
from tests.faults.story import START, Story
from tests.faults.witness import Violation, refused_rows, signals, violations

KILLS = (Blow.KILL, Blow.KILL, Blow.KILL_CHILD, Blow.STOP)
"""SIGKILL as often as the rest together."""

DATABASE_FAULTS: dict[str, Callable[[Any], object]] = {
    "server killed": Server.crash,
    "server restarted": Server.restart,
    "connections cut": lambda database: database.cut(in_transaction=False),
    "transactions cut": lambda database: database.cut(),
}
DATABASE_CHANCE = 0.06
"""How often it is the database server that is struck, where there is one."""

REDIS_FAULTS: dict[str, Callable[[Cluster], AbstractContextManager[object]]] = {
    "killed": away,
    "full": full,
    "connections cut": lambda cluster: nullcontext(cut(cluster)),
}

CREDLY_FAULTS = ("401", "429-bare", "503", "200-html", "reset-before", "reset-after-success", "slow-drip", "cut-json")
"""Answers that are no reason to give anything up."""

WORKER, CREDLY = "worker", "credly"
NOON = START + timedelta(hours=6)
ONLY_CREDLY_CAN_TELL = "claimed, not sent"
"""A pause here is left out: see `test_struck_credly_workers`."""


@dataclass
class Tally:
    """What happened so far."""

    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each kind of process met each signal."""
    at_points: Counter[str] = field(default_factory=Counter)
    flushes: int = 0
    database: Counter[str] = field(default_factory=Counter)
    """How often what befell the database server."""
    redis: Counter[str] = field(default_factory=Counter)
    """How often what befell the Redis server."""
    credly: Counter[str] = field(default_factory=Counter)
    """How often Credly answered so for some calls."""
    set_aside: int = 0
    """Rows that were struck so often that they were taken for poison; each went on by `redrive`."""
    events: int = 0
    deliveries: int = 0
    badges: int = 0
    signals: int = 0
    longest_recovery: float = 0.0
    """Seconds from the last fault of a round until nothing waited any more, the longest."""
    violations: list[Violation] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """What ended a process."""
        return sum(number for (_, signal), number in self.struck.items() if Blow(signal) in KILLS)


class Storm:
    """Rounds of faults on a cluster.

    Args:
        cluster: large, so that others go on.
        seed: decides the events, and what is drawn; the moments are the machine's.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.tally = Tally()
        self._cluster = cluster
        self._seed = seed
        self._draw = random.Random(seed)
        self._rounds = 0
        self._fuses: list[Fuse] = []
        cluster.receive_webhooks(cluster.school.organization)

    def round(self, kills: int, learners: int = 30, tell: Callable[[], None] = lambda: None) -> list[Violation]:
        """Play a story while that many processes are killed; then wait, judge, and return what is violated.

        Args:
            kills: how many at least.
            learners: of the story.
            tell: called after each fault.
        """
        self._rounds += 1
        story = Story(self._cluster.school, self._seed * 1000 + self._rounds, learners, events_each=10)
        delivery = story.delivery()
        if self._rounds % 2:  # what is earned in the morning is issued before the afternoon takes it back
            delivery.sort(key=lambda event: event.time > NOON)
        goal = self.tally.kills + kills
        playing = threading.Thread(target=self._play, args=(delivery,))
        playing.start()
        while self.tally.kills < goal or playing.is_alive():
            self._strike()
            tell()
            self._pass(self._draw.uniform(0.05, 0.7))
        return self._judge(story, len(delivery))

    def _play(self, delivery: Sequence[LmsEvent]) -> None:
        third = len(delivery) // 3 + 1
        for start in range(0, len(delivery), third):
            insist(self._cluster, delivery[start : start + third])

    def _judge(self, story: Story, deliveries: int) -> list[Violation]:
        calmed_at = time.monotonic()
        self._cluster.credly("DELETE", "faults")
        self._cluster.settle(180)
        self._count_blown()
        self._fuses.clear()
        tally = self.tally
        tally.set_aside += self._bring_back()
        tally.longest_recovery = max(tally.longest_recovery, time.monotonic() - calmed_at)
        tally.events += len(story.events)
        tally.deliveries += deliveries
        tally.badges += len(story.holders())
        tally.signals += signals(self._cluster, story)
        found = violations(self._cluster, story)
        tally.violations += found
        return found

    def _bring_back(self) -> int:
        """Put back what was set aside, as a person would who sees that it was killed too often by chance.

        What failed without a reason, or fails again, is a violation and stays for the witness.
        """
        failed = refused_rows(self._cluster)
        if failed:
            self._cluster.manage("redrive")
            self._cluster.settle(180)
        return len(failed)

    def _strike(self) -> None:
        """One random fault: at a named point, or of a random process at this moment, or of what they all need."""
        chance = self._draw.random()
        if isinstance(self._cluster.database, Server) and self._draw.random() < DATABASE_CHANCE:
            self._break(self._cluster.database)
        elif chance < 0.35:
            self._arm_a_fuse()
        elif chance < 0.42:
            self._cluster.forget_messages()
            self.tally.flushes += 1
        elif chance < 0.50:
            self._hit(Blow.PAUSE, [name for name in self._cluster.ready() if not name.startswith(CREDLY)])
        elif chance < 0.59:
            self._break_redis()
        elif chance < 0.64:
            self._spoil_answers()
        else:
            self._hit(self._draw.choice(KILLS), self._cluster.ready())

    def _break(self, database: Any) -> None:
        what = self._draw.choice(list(DATABASE_FAULTS))
        DATABASE_FAULTS[what](database)
        self.tally.database[what] += 1

    def _break_redis(self) -> None:
        what = self._draw.choice(list(REDIS_FAULTS))
        with REDIS_FAULTS[what](self._cluster):
            self._pass(self._draw.uniform(0, 3))
        self.tally.redis[what] += 1

    def _spoil_answers(self) -> None:
        """Credly answers badly, whatever it is asked next, for some calls."""
        what = self._draw.choice(CREDLY_FAULTS)
        self._cluster.credly("POST", "faults", {"preset": what, "times": self._draw.randint(1, 6)})
        self.tally.credly[what] += 1

    def _hit(self, blow: Blow, names: list[str]) -> None:
        if not names:
            return
        name = self._draw.choice(names)
        kind = name.partition(".")[0]
        if blow is Blow.KILL_CHILD and kind != WORKER:
            blow = Blow.KILL
        self._cluster.strike(name, blow)
        self.tally.struck[kind, blow.value] += 1

    def _arm_a_fuse(self) -> None:
        point = POINTS[self._draw.choice(list(POINTS))]
        cut = [Blow.CUT] if isinstance(self._cluster.database, Server) else []
        blow = self._draw.choice((*KILLS, Blow.PAUSE, *cut))
        if blow is Blow.PAUSE and point.name == ONLY_CREDLY_CAN_TELL:
            blow = Blow.KILL
        if blow is Blow.KILL_CHILD and point.process != WORKER:
            blow = Blow.STOP
        self._fuses.append(self._cluster.arm(point.name, blow, self._draw.randint(1, 4)))

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._cluster.tend()
            self._count_blown()
            time.sleep(0.05)

    def _count_blown(self) -> None:
        for fuse in [fuse for fuse in self._fuses if fuse.blown()]:
            self._fuses.remove(fuse)
            self.tally.struck[POINTS[fuse.point].process, fuse.blow.value] += 1
            self.tally.at_points[fuse.point] += 1
