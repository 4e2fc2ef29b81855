"""One event after the other through each stage, in this one process and without Celery's workers; prints what it cost as JSON.

Runs in a stand's environment: `python -m benchmarks.costs_probe NUMBER`.  Of the events on the bus each earns a badge.
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.meter import Meter
from benchmarks.stand import GROUP
from pipeline.bus.streams import StreamReader
from pipeline.embedded.system import TOPIC
from pipeline.models import Badge, Event, Signal
from pipeline.stages.consume import InboxConsumer
from tasks.emit import emit
from tasks.evaluate import evaluate
from tasks.issue import issue
from tasks.persist import persist

WARM = 5
"""Pieces of work of each stage before the meter runs: connections are opened and rules compiled."""


def metered(work: Callable[[Any], Any], pieces: Sequence[Any]) -> dict[str, Any]:
    """What the pieces cost, without the first ones."""
    for piece in pieces[:WARM]:
        work(piece)
    meter = Meter()
    for piece in pieces[WARM:]:
        with meter.running():
            work(piece)
    return _cost(meter, len(pieces) - WARM)


def _cost(meter: Meter, pieces: int) -> dict[str, Any]:
    """All of it, and the statements of one piece."""
    statements = meter.statements[: meter.numbers["queries"] // pieces]
    return {"numbers": meter.numbers, "seconds": meter.seconds, "statements": statements, "pieces": pieces}


def consumed(number: int) -> dict[str, Any]:
    """What one read costs."""
    consumer = InboxConsumer(TOPIC, GROUP, consumer_name="probe")
    reader = StreamReader(TOPIC, GROUP, "probe")
    consumer._enroll(reader)
    meter = Meter()
    reads = -(-number // 500)
    for each in range(reads):
        if each:
            with meter.running():
                consumer._consume_batch(reader)
        else:
            consumer._consume_batch(reader)
    return _cost(meter, reads - 1)


def main() -> None:
    """Go the way once."""
    number = int(sys.argv[1])
    costs = {"consume, 500 events": consumed(number)}
    ids = [str(event) for event in Event.objects.order_by("received_at").values_list("pk", flat=True)]
    each = number // 6
    costs["evaluate, 1 event"] = metered(evaluate, chunks(ids[:each], 1))
    costs["evaluate, 500 events"] = metered(evaluate, [ids[:500]] * (WARM + 5))
    costs["persist, 1 event"] = metered(persist, chunks(ids[:each], 1))
    costs["persist, 50 events"] = metered(persist, chunks(ids[each:], 50))
    badges = list(Badge.objects.order_by("pk").values_list("pk", flat=True))
    costs["issue, 1 badge"] = metered(issue, chunks(badges[:each], 1))
    costs["issue, 10 badges"] = metered(issue, chunks(badges[each : 3 * each], 10))
    signals = list(Signal.objects.order_by("pk").values_list("pk", flat=True))
    costs["emit, 1 signal"] = metered(emit, chunks(signals[:each], 1))
    costs["emit, 10 signals"] = metered(emit, chunks(signals[each:], 10))
    print(json.dumps(costs))


def chunks(ids: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """The ids, so many at once."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]


if __name__ == "__main__":
    main()
