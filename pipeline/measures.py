"""What processes measure for `/metrics`: how often, how long, and when last.

A worker has no port that Prometheus could ask, and its children come and go.  So a measure is kept in the process for seconds
and then added to what all processes share, in Redis; any web process tells the sum (docs/decisions/0017-metrics.md).  Measuring
costs a microsecond and fails nobody: while Redis is away a process keeps what it has.

Labels are words of this code, and UUIDs of organizations: never ids of learners, events or badges, of which there is no end.
A process that forks others must measure nothing before.  One that ends adds what it still keeps; a forked child that ends
without the functions that `atexit` knows has to call `share`.
"""

import atexit
import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from pipeline.counting import redis_url

KEY = "badges-metrics"
"""The hash in Redis: a field per measure, labels and part."""

KEPT_SECONDS = 5.0
"""How long a process keeps what it measured; SIGKILL loses as much."""

ANSWER_SECONDS = 1.0

Field = tuple[str, ...]
"""A measure's name, the values of its labels, and its part: a bucket's bound or `sum` of a histogram, else nothing."""

SUM = "sum"


@dataclass(frozen=True)
class Measure:
    """A name as Prometheus knows it, what it means, and the names of its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


class Count(Measure):
    """How often something happened."""

    def add(self, number: float, *labels: str) -> None:
        """It happened that often more."""
        _store.add([((self.name, *labels, ""), number)])


class Moment(Measure):
    """When something happened last, as seconds since 1970; of several processes, the one that shared last is believed."""

    def note(self, *labels: str) -> None:
        """It happened now."""
        _store.set((self.name, *labels, ""), time.time())


@dataclass(frozen=True)
class Times(Measure):
    """How long something took, each time: a histogram."""

    bounds: tuple[float, ...] = ()
    """Upper bounds of its buckets in seconds; a last one without bound is understood."""

    def add(self, seconds: float, *labels: str) -> None:
        """It took that long this time.  Clocks of two machines may differ: less than nothing counts as nothing."""
        seconds = max(seconds, 0.0)
        bucket = self.parts[bisect_left(self.bounds, seconds)]
        _store.add([((self.name, *labels, bucket), 1), ((self.name, *labels, SUM), seconds)])

    @property
    def parts(self) -> tuple[str, ...]:
        """The buckets as Prometheus names them."""
        return (*map(str, self.bounds), "+Inf")


class _Store:
    """What this process measured and has not yet added to what is shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: defaultdict[Field, float] = defaultdict(float)
        self._moments: dict[Field, float] = {}
        self._timer_runs = False

    def add(self, numbers: Iterable[tuple[Field, float]]) -> None:
        with self._lock:
            for field, number in numbers:
                self._sums[field] += number
            self._share_soon()

    def set(self, field: Field, moment: float) -> None:
        with self._lock:
            self._moments[field] = max(moment, self._moments.get(field, 0.0))
            self._share_soon()

    def share(self) -> None:
        """Add everything to Redis in one round trip; without an answer keep it and try again later.

        An answer that is lost on its way makes the same count twice.
        """
        with self._lock:
            sums, self._sums = self._sums, defaultdict(float)
            moments, self._moments = self._moments, {}
            self._timer_runs = False
        if not sums and not moments:
            return
        try:
            with _redis() as redis, redis.pipeline() as addition:
                for field, number in sums.items():
                    addition.hincrbyfloat(KEY, json.dumps(field), number)
                for field, moment in moments.items():
                    addition.hset(KEY, json.dumps(field), moment)
                addition.execute()
        except (RedisError, OSError):
            self.add(sums.items())
            for field, moment in moments.items():
                self.set(field, moment)

    def _share_soon(self) -> None:
        if not self._timer_runs:
            self._timer_runs = True
            timer = threading.Timer(KEPT_SECONDS, self.share)
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:
                # There is no further thread to be had, or the process ends: it is shared with what is measured next.
                self._timer_runs = False


_store = _Store()


def share() -> None:
    """Add what this process measured to what is shared, now.  May be repeated."""
    _store.share()


atexit.register(share)


def shared() -> Mapping[Field, float]:
    """What all processes measured.  What is no field of ours, whoever wrote it there, is left out.

    Raises:
        redis.exceptions.RedisError, OSError: Redis does not answer.
    """
    with _redis() as redis:
        return dict(_readable(redis.hgetall(KEY)))


def _readable(written: Mapping[bytes, bytes]) -> Iterator[tuple[Field, float]]:
    for name, value in written.items():
        try:
            field, number = json.loads(name), float(value)
        except ValueError:
            continue
        if isinstance(field, list) and len(field) > 1 and all(isinstance(word, str) for word in field):
            yield tuple(field), number


def _redis() -> Redis:
    """A connection for one round trip: hosted Redis servers count them, and this is one every few seconds."""
    url = redis_url().removeprefix("redis+")
    return Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, single_connection_client=True
    )


_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)

STAGE_SECONDS = Times("badges_stage_seconds", "How long a run of a stage took.", ("stage", "outcome"), _SHORT)
STAGE_LAST_RUN = Moment(
    "badges_stage_last_run_timestamp_seconds",
    "When a stage last ended a run, and beat last sent housekeeping.",
    ("stage",),
)
BUS_MESSAGES = Count("badges_bus_messages_total", "Messages that consumers took, repeats included.")
EVENTS_ENDED = Count("badges_events_ended_total", "Events by type and by what became of them.", ("type", "outcome"))
CREDLY_SECONDS = Times("badges_credly_call_seconds", "How long a call to Credly took.", ("call", "outcome"), _SHORT)
CREDLY_HELD_BACK = Count(
    "badges_credly_held_back_total", "Turns at Credly that our own rate limit put off.", ("organization",)
)
TO_CREDLY_SECONDS = Times(
    "badges_event_to_credly_seconds", "From the event that earned a badge to Credly holding it.", (), _LONG
)
TO_SIGNAL_SECONDS = Times(
    "badges_event_to_signal_seconds", "From the event that earned a badge to its signal on the bus.", (), _LONG
)

MEASURES: tuple[Count | Moment | Times, ...] = (
    STAGE_SECONDS,
    STAGE_LAST_RUN,
    BUS_MESSAGES,
    EVENTS_ENDED,
    CREDLY_SECONDS,
    CREDLY_HELD_BACK,
    TO_CREDLY_SECONDS,
    TO_SIGNAL_SECONDS,
)


def stage_ended(stage: str, outcome: str, seconds: float) -> None:
    """A run of a stage came to an end, whatever it was."""
    STAGE_SECONDS.add(seconds, stage, outcome)
    STAGE_LAST_RUN.note(stage)


@contextmanager
def batch(stage: str) -> Iterator[None]:
    """A stage works on a batch.  One that raises is a failure, and no sign that the stage gets anything done."""
    started = time.monotonic()
    try:
        yield
    except Exception:
        STAGE_SECONDS.add(time.monotonic() - started, stage, "failure")
        raise
    stage_ended(stage, "success", time.monotonic() - started)
