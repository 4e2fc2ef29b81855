"""Delivery of events to ``webhook_url``: a pointer to each, tried again until answered 200 (section 9.3)."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

from pipeline.credly.emulator.records import Event
from pipeline.credly.emulator.state import State
from pipeline.credly.emulator.times import format_time

PATIENCE = timedelta(days=25)
"""How long after the first try Credly goes on (facts/credly-api.md, section 9.3)."""

ORDERS = ("as_is", "reversed", "shuffled")
"""Orders in which deliveries can be released or repeated."""


def retry_intervals() -> list[float]:
    """Seconds between tries: doubling from one minute up to a day, 25 days in all.

    Credly says only "growing intervals for up to 25 days"; the steps are ours.
    """
    intervals: list[float] = []
    step = 60.0
    while sum(intervals) + step <= PATIENCE.total_seconds():
        intervals.append(step)
        step = min(step * 2, 86_400.0)
    return intervals


@dataclass
class Delivery:
    """One try to deliver an event; ``status`` is None when no answer came, then ``error`` says why."""

    event_id: str
    event_type: str
    organization_id: str
    time: datetime
    attempt: int
    status: int | None
    delivered: bool
    error: str | None = None

    def describe(self) -> dict[str, Any]:
        """The try as the control API shows it."""
        return asdict(self) | {"time": format_time(self.time)}


class Webhooks:
    """Sends the events of a state; every event goes its own way, so they may overtake each other.

    Needs a running event loop.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.log: list[Delivery] = []
        self.held: list[Event] = []
        # Tornado counts the wait for a free client as part of a request's time, so there are plenty.
        self._client = AsyncHTTPClient(force_instance=True, max_clients=1000)
        self._running: set[asyncio.Task[None]] = set()
        state.on_event = self.announce

    def announce(self, event: Event) -> None:
        """Deliver the event if its organization wants it, or hold it back if switched so."""
        wanted = event.organization.allowed_webhooks
        if not event.organization.webhook_url or (wanted and event.event_type not in wanted):
            return
        if self.state.switches.webhook_hold:
            self.held.append(event)
        else:
            self._start(self._deliver(event))

    def release(self, order: str = "as_is", seed: int = 0) -> int:
        """Send what was held back, one after the other in this order, and return how many."""
        events, self.held = self.held, []
        self.redeliver(events, order, seed)
        return len(events)

    def redeliver(self, events: Sequence[Event], order: str = "as_is", seed: int = 0) -> None:
        """Send these events again, delivered or not, one after the other in this order."""
        chosen = list(events)
        if order == "reversed":
            chosen.reverse()
        elif order == "shuffled":
            random.Random(seed).shuffle(chosen)  # noqa: S311 -- repeatable on purpose
        self._start(self._deliver_each(chosen))

    def clear(self) -> None:
        """Forget all deliveries and stop those under way."""
        for task in self._running:
            task.cancel()
        self.log, self.held = [], []

    @property
    def waiting(self) -> int:
        """Deliveries under way or waiting for their next try."""
        return len(self._running)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver_each(self, events: Sequence[Event]) -> None:
        for event in events:
            if not await self._try(event, 1):
                self._start(self._retry(event))

    async def _deliver(self, event: Event) -> None:
        if not await self._try(event, 1):
            await self._retry(event)

    async def _retry(self, event: Event) -> None:
        for attempt, interval in enumerate(retry_intervals(), start=2):
            await asyncio.sleep(interval * self.state.switches.webhook_time_factor)
            if await self._try(event, attempt):
                return

    async def _try(self, event: Event, attempt: int) -> bool:
        status, error = await self._post(event)
        success = range(200, 300) if self.state.switches.webhook_success == "2xx" else (200,)
        delivered = status in success
        organization_id = event.organization.id
        self.log.append(
            Delivery(
                event.id,
                event.event_type,
                organization_id,
                self.state.now(),
                attempt,
                status,
                delivered,
                error,
            )
        )
        return delivered

    async def _post(self, event: Event) -> tuple[int | None, str | None]:
        pointer = {
            "id": event.id,
            "organization_id": event.organization.id,
            "event_type": event.event_type,
            "occurred_at": format_time(event.occurred_at),
        }
        try:
            request = HTTPRequest(
                event.organization.webhook_url or "",
                method="POST",
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                body=json.dumps(pointer),
                request_timeout=self.state.switches.webhook_timeout,
                follow_redirects=False,
            )
            # Without `raise_error` an answer of any status is returned; what was no answer still raises.
            response = await self._client.fetch(request, raise_error=False)
        except (OSError, ValueError, HTTPError) as error:
            return None, type(error).__name__
        return response.code, None
