"""The event bus and the broker for a simulation: both lose, repeat and reorder, each as the real one may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from openedx_events.data import EventsMetadata
from openedx_events.tooling import OpenEdxPublicSignal
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.bus.streams import Entry
from pipeline.bus.unavailable import BusUnavailable
from pipeline.stages.consume import CLAIM_IDLE_MS
from tests.simulation.scheduler import Scheduler

TOPIC = "learning-badges-lifecycle"
CLAIM_IDLE = CLAIM_IDLE_MS / 1000


@dataclass(eq=False)
class Published:
    """An entry of the stream: readable from a true time on, given out to a consumer, acknowledged."""

    entry: Entry
    readable: float
    holder: str | None = None
    since: float = 0.0
    acknowledged: bool = False


@dataclass(frozen=True)
class Told:
    """A signal that the bus took."""

    id: UUID
    kind: str
    badge: UUID


class Bus:
    """The stream of learner events, and what was told on it about badges."""

    def __init__(self, scheduler: Scheduler, published: Sequence[Published]) -> None:
        self._scheduler = scheduler
        self.published = published
        self.told: list[Told] = []
        self.fault_rate = 0.0

    def readable(self, consumer: str) -> list[Published]:
        """What this consumer would be given: entries nobody has read, its own again, and those held for too long."""
        now = self._scheduler.now
        return [
            each
            for each in self.published
            if each.readable <= now
            and not each.acknowledged
            and (each.holder in (None, consumer) or now >= each.since + CLAIM_IDLE)
        ]

    def next_moment(self) -> float | None:
        """When there is more to read; None if never."""
        waiting = [each for each in self.published if not each.acknowledged]
        return min((each.since + CLAIM_IDLE if each.holder else each.readable for each in waiting), default=None)

    def publish(self, signal: OpenEdxPublicSignal, event_data: dict[str, Any], metadata: EventsMetadata) -> list[str]:
        """Takes the place of the producer's: takes the signal, or fails before or after that."""
        kind = metadata.event_type.split(".")[-2]
        self._scheduler.point(f"before publishing {kind}")
        broken = self._breaks()
        if broken and self._scheduler.random.random() < 0.5:
            raise BusUnavailable("simulated")
        [data] = event_data.values()
        self.told.append(Told(UUID(str(metadata.id)), kind, UUID(str(data.uuid))))
        self._scheduler.note("told", kind)
        self._scheduler.point(f"after publishing {kind}")
        if broken:
            raise BusUnavailable("simulated, after it took the signal")
        return [TOPIC]

    def _breaks(self) -> bool:
        broken = self._scheduler.random.random() < self.fault_rate
        self._scheduler.counts["bus fault"] += broken
        return broken


class Reader:
    """One consumer's view of the stream, as the consume stage uses it."""

    stream = TOPIC

    def __init__(self, scheduler: Scheduler, bus: Bus, name: str) -> None:
        self._scheduler = scheduler
        self._bus = bus
        self._name = name

    def read(self, count: int) -> list[Entry]:
        self._scheduler.point("before reading")
        there = self._bus.readable(self._name)
        given = there[: self._scheduler.random.choice((1, 2, count))]
        for each in given:
            each.holder, each.since = self._name, self._scheduler.now
        self._scheduler.note("read", f"{len(given)} entries")
        self._scheduler.point("after reading")
        return [each.entry for each in given]

    def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        self._scheduler.point("before acknowledging")
        broken = self._bus._breaks()
        if not broken or self._scheduler.random.random() < 0.5:
            for each in self._bus.published:
                each.acknowledged |= each.entry[0] in entry_ids
        if broken:
            raise RedisConnectionError("simulated")
        self._scheduler.note("acknowledged", f"{len(entry_ids)} entries")


@dataclass(frozen=True)
class Message:
    """A nudge on its way."""

    task: str
    arguments: tuple[Any, ...]


class Broker:
    """Holds nudges; gives them out in any order."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.waiting: list[Message] = []
        self.loss_rate = 0.0
        self.repeat_rate = 0.0

    def publish(self, task: str, calls: list[list[Any]], options: Mapping[str, Any]) -> None:
        """Takes the place of the nudges' publication."""
        self._scheduler.point(f"before handing over {task}")
        for arguments in calls:
            self._take(Message(task, tuple(arguments)))

    def _take(self, message: Message) -> None:
        chance = self._scheduler.random
        if chance.random() < self.loss_rate:
            self._scheduler.note("drop", f"{message.task}{message.arguments}")
            return
        self.waiting.append(message)
        if chance.random() < self.repeat_rate:
            self._scheduler.note("repeat", f"{message.task}{message.arguments}")
            self.waiting.append(message)

    def give_out(self) -> Message:
        return self.waiting.pop(self._scheduler.random.randrange(len(self.waiting)))

    def give_back(self, message: Message) -> None:
        """Its worker died: brokers deliver again, unless they die too."""
        if self._scheduler.random.random() >= self.loss_rate:
            self.waiting.append(message)

    def wipe(self) -> None:
        self.waiting.clear()
