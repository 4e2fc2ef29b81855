"""The emulator's parts in one place: what Credly knows, what strikes it, what it was asked."""

from typing import Any

from pipeline.credly.emulator.faults import Faults
from pipeline.credly.emulator.journal import Entry, Journal
from pipeline.credly.emulator.seeding import plant
from pipeline.credly.emulator.state import State
from pipeline.credly.emulator.webhooks import Webhooks

EMPTY_SEED: dict[str, Any] = {"organizations": []}


class World:
    """One emulated Credly. ``latency`` is in seconds a call, ``seed`` what it begins with."""

    def __init__(self, base_url: str, *, latency: float = 0.0, seed: dict[str, Any] = EMPTY_SEED) -> None:
        self.state = State()
        self.state.base_url = base_url
        self.webhooks = Webhooks(self.state)
        self._initial = latency, seed
        self.reset()

    def reset(self) -> None:
        """Begin anew: only the seed is left, no badge, fault, log or switch. May be repeated."""
        self.latency, seed = self._initial
        self.webhooks.clear()
        self.state.clear()
        self.faults = Faults()
        self.journal = Journal()
        self._minutes: dict[tuple[str | None, int], int] = {}
        plant(self.state, seed)

    def over_limit(self, entry: Entry) -> int | None:
        """Seconds until the organization may call again, None when it may; a switch sets the limit."""
        limit = self.state.switches.calls_per_minute
        if limit is None:
            return None
        minute, second = divmod(int(entry.time.timestamp()), 60)
        key = entry.organization, minute
        self._minutes[key] = self._minutes.get(key, 0) + 1
        return 60 - second if self._minutes[key] > limit else None
