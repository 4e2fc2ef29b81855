"""Playing events onto the bus: publishing them one after the other, and counting."""

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from pipeline.bus.catalogue import user_of
from pipeline.bus.topics import enabled_topics
from pipeline.lms.delivery import Delivery
from pipeline.lms.events import LmsEvent, send


class Playing:
    """What was played so far: ``sent`` events (repeats count), their ``learners`` (LMS user ids), in ``seconds``."""

    def __init__(self, delivery: Delivery) -> None:
        self.sent = 0
        self.seconds = 0.0
        self.learners: set[int] = set()
        self._ids: set[UUID] = set()
        self._delivery = delivery

    def play(self, events: Iterable[LmsEvent], rate: float = 0.0) -> None:
        """Publish events, ``rate`` of them per second; 0: as fast as possible.

        May be repeated, like `pipeline.lms.events.send`, and raises what that does; what was published before stays
        counted. Raises redis.exceptions.RedisError too.
        """
        started = time.monotonic()
        try:
            for number, event in enumerate(events):
                if rate:
                    time.sleep(max(0.0, started + number / rate - time.monotonic()))
                send(event)
                self._note(event)
            self._delivery.finish()
        finally:
            self.seconds += time.monotonic() - started

    def counts(self) -> dict[str, Any]:
        """All counts, ready for JSON; ``distinct`` are the events without their repeats."""
        return {
            "events": self.sent,
            "distinct": len(self._ids),
            "learners": len(self.learners),
            "seconds": round(self.seconds, 3),
        }

    def _note(self, event: LmsEvent) -> None:
        self.sent += 1
        self._ids.add(event.id)
        learner = user_of(event.type, event.payload)
        if learner is not None:
            self.learners.add(learner["id"])
        for topic in enabled_topics(event.type):
            self._delivery.note(topic)
