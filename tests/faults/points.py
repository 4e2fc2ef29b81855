"""The named points in the way of an event, and how they are put into a process."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.faults import fuses


@dataclass(frozen=True)
class Point:
    """Before or after one call of a function.

    Attributes:
        name: for people, and for the command line.
        process: whose code it is: `consumer`, `worker`, `credly` or `web`.
        place: module and dotted attribute, as `module:attribute`.
        after: whether it is reached when the function returned, and not when it is called.
        method: of an HTTP connection's function: only calls with this method count.
        revokes: whether it is reached only when a badge is revoked.
        observes: whether it is reached only when Credly tells of its own accord what became of a badge.
    """

    name: str
    process: str
    place: str
    after: bool = False
    method: str | None = None
    revokes: bool = False
    observes: bool = False


POINTS = {
    point.name: point
    for point in (
        Point("read, not stored", "consumer", "pipeline.ledgers.inbox:store"),
        Point("inserted, not committed", "consumer", "pipeline.ledgers.inbox:_insert_unknown", after=True),
        Point("stored, not nudged", "consumer", "pipeline.ledgers.inbox:store", after=True),
        Point("stored, not acknowledged", "consumer", "pipeline.bus.streams:StreamReader.acknowledge"),
        Point("matched, not handed over", "worker", "pipeline.stages:evaluate", after=True),
        Point("decided, not committed", "worker", "pipeline.stages.persist:_persist", after=True),
        Point("committed, not handed over", "worker", "pipeline.stages:persist", after=True),
        Point("signal claimed, not published", "worker", "pipeline.stages.emit:_publish"),
        Point("signal published, not marked", "worker", "pipeline.stages.emit:_publish", after=True),
        Point("claimed, not sent", "credly", "pipeline.credly.client:CredlyClient.issue"),
        Point("sent, no answer", "credly", "urllib3.connection:HTTPConnection.getresponse", method="POST"),
        Point("answered, not recorded", "credly", "pipeline.credly.client:CredlyClient.issue", after=True),
        Point("recorded, not committed", "credly", "pipeline.ledgers.outbox:write", after=True),
        Point("recorded, signal not handed over", "credly", "pipeline.stages:issue", after=True),
        Point("revocation claimed, not sent", "credly", "pipeline.credly.client:CredlyClient.revoke", revokes=True),
        Point(
            "revocation sent, no answer",
            "credly",
            "urllib3.connection:HTTPConnection.getresponse",
            method="PUT",
            revokes=True,
        ),
        Point(
            "revocation answered, not recorded",
            "credly",
            "pipeline.credly.client:CredlyClient.revoke",
            after=True,
            revokes=True,
        ),
        Point(
            "revocation recorded, next cycle not begun",
            "credly",
            "pipeline.ledgers.holdings:next_cycle",
            revokes=True,
        ),
        Point("webhook read, not stored", "web", "pipeline.ledgers.webhooks:receive", observes=True),
        Point("webhook stored, not nudged", "web", "pipeline.ledgers.webhooks:receive", after=True, observes=True),
        Point(
            "webhook verified, not obeyed", "credly", "pipeline.ledgers.webhooks:verified", after=True, observes=True
        ),
        Point("loss seen at Credly, not recorded", "credly", "pipeline.ledgers.observations:gone", observes=True),
        Point("webhook obeyed, not ended", "credly", "pipeline.ledgers.webhooks:end", observes=True),
        Point("webhook ended, signal not handed over", "credly", "pipeline.stages:webhook", after=True, observes=True),
    )
}
"""By name, in the order in which an event meets them."""


def install() -> None:
    """Put all points into this process; until a fuse is armed, they do nothing."""
    for point in POINTS.values():
        module, _, attribute = point.place.partition(":")
        owner: Any = import_module(module)
        *outer, name = attribute.split(".")
        for each in outer:
            owner = getattr(owner, each)
        setattr(owner, name, _wrapped(getattr(owner, name), point))


def _wrapped(function: Callable[..., Any], point: Point) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        counts = point.method is None or getattr(arguments[0], "_method", None) == point.method
        if counts and not point.after:
            fuses.reach(point.name)
        result = function(*arguments, **named)
        if counts and point.after:
            fuses.reach(point.name)
        return result

    return wrapper
