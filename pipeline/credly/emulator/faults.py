"""Faults on demand: which calls they strike and what they do to the answer."""

import random
import re
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from pipeline.credly.emulator.call import Answer
from pipeline.credly.emulator.errors import RefusalError, archived, duplicate, not_found
from pipeline.credly.emulator.journal import Entry
from pipeline.credly.emulator.specification import SpecificationError, check

ENDINGS = ("answer", "hang-up", "reset", "drip", "truncate", "cut")
"""How an answer leaves: whole; not at all, closed or reset; byte by byte; short of its length; half."""

_MATCHES: dict[str, Any] = {
    "method": str,
    "path": str,
    "organization": str,
    "template": str,
    "issuer_earner_id": str,
}
_TIME = (int, float)


@dataclass
class Fault:
    """What happens to the calls that it strikes.

    ``when`` it comes ``before`` the effect and has a status or no answer, the effect never takes place;
    ``after``, the effect is in the ledger. ``delay`` is in seconds: before the effect or after it, or
    between two bytes of a drip. ``times`` is how often it still strikes, None for ever.
    """

    name: str
    match: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | str = ""
    delay: float = 0.0
    when: str = "before"
    ending: str = "answer"
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    id: str = field(default_factory=lambda: str(uuid4()))
    hits: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 -- repeatable on purpose

    @property
    def spares_effect(self) -> bool:
        """Whether the effect takes place in spite of the fault."""
        return self.when == "after" or (self.status is None and self.ending not in ("hang-up", "reset"))

    def answer(self) -> Answer | None:
        """What is answered in place of the truth, or None when the truth is."""
        return None if self.status is None else Answer(self.status, self.body, dict(self.headers))

    def strikes(self, entry: Entry) -> bool:
        """Whether this call is struck; counts the hit. The same seed strikes the same calls."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not all(_meets(name, wanted, entry) for name, wanted in self.match.items()):
            return False
        if self.probability < 1.0 and self._chance.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def describe(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        shown = ("id", "name", "match", "status", "headers", "delay", "when", "ending", "times", "hits")
        return {name: getattr(self, name) for name in shown} | {
            "probability": self.probability,
            "seed": self.seed,
        }


def _meets(name: str, wanted: str, entry: Entry) -> bool:
    if name == "path":
        return re.search(wanted, entry.path) is not None
    value = getattr(entry, name)
    return value is not None and value.casefold() == wanted.casefold()


def _refusal(name: str, refusal: RefusalError, **more: Any) -> Fault:
    return Fault(name, status=refusal.status, body=refusal.body(), **more)


_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_HTML_TYPE = {"Content-Type": "text/html"}

PRESETS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        _refusal("401", RefusalError(401, "Unauthorized")),
        _refusal("403", RefusalError(403, "You are not authorized to perform this action")),
        _refusal("404", not_found("Resource")),
        _refusal("409", RefusalError(409, "Conflict")),
        _refusal("422-duplicate", duplicate("recipient_email")),
        _refusal("422-archived", archived()),
        _refusal("429", RefusalError(429, "Too Many Requests"), headers={"Retry-After": "1"}),
        _refusal("429-bare", RefusalError(429, "Too Many Requests")),
        _refusal("500", RefusalError(500, "Internal Server Error")),
        Fault("502-html", status=502, body=_HTML, headers=_HTML_TYPE),
        _refusal("503", RefusalError(503, "Service Unavailable")),
        _refusal("504", RefusalError(504, "Gateway Timeout")),
        Fault("200-html", status=200, body=_HTML, headers=_HTML_TYPE),
        Fault("timeout-after-success", when="after", ending="hang-up", delay=30.0),
        Fault("reset-after-success", when="after", ending="reset"),
        Fault("reset-before", ending="reset"),
        Fault("slow-first-byte", when="after", delay=5.0),
        Fault("slow-drip", when="after", ending="drip", delay=0.1),
        Fault("truncated-json", when="after", ending="truncate"),
        Fault("cut-json", when="after", ending="cut"),
    )
}
"""Faults by name (facts/credly-api.md, section 13)."""

_FIELDS: dict[str, Any] = {
    "preset": str,
    "match": dict,
    "status": int,
    "headers": dict,
    "body": (str, dict),
    "delay": _TIME,
    "when": str,
    "ending": str,
    "times": (int, type(None)),
    "probability": _TIME,
    "seed": int,
    "retry_after": (int, float, str),
}


def make_fault(given: object) -> Fault:
    """The fault that the control API was asked for: a preset, explicit fields, or both (these win).

    Raises SpecificationError.
    """
    fields = dict(check(given, required={}, optional=_FIELDS))
    preset, retry_after = fields.pop("preset", None), fields.pop("retry_after", None)
    if preset is not None and preset not in PRESETS:
        raise SpecificationError(f"unknown preset {preset!r}; known are: {', '.join(PRESETS)}")
    if preset is None and not {"status", "delay", "ending"} & set(fields):
        raise SpecificationError("give a preset, or at least one of status, delay, ending")
    base = PRESETS[preset] if preset else Fault("custom", when="after" if "status" not in fields else "before")
    if retry_after is not None:
        fields["headers"] = base.headers | fields.get("headers", {}) | {"Retry-After": str(retry_after)}
    fields["match"] = _check_match(fields.get("match", {}))
    _check_values(fields)
    return replace(base, **fields, id=str(uuid4()), hits=0)


def _check_match(match: object) -> dict[str, str]:
    checked = check(match, required={}, optional=_MATCHES)
    try:
        re.compile(checked.get("path", ""))
    except re.error as error:
        raise SpecificationError(f"path is no regular expression: {error}") from None
    return checked


def _check_values(fields: dict[str, Any]) -> None:
    if fields.get("when", "before") not in ("before", "after"):
        raise SpecificationError("when must be 'before' or 'after'")
    if fields.get("ending", "answer") not in ENDINGS:
        raise SpecificationError(f"ending must be one of: {', '.join(ENDINGS)}")
    if not 200 <= fields.get("status", 200) <= 599:
        raise SpecificationError("status must be from 200 to 599")
    if not 0 <= fields.get("probability", 1) <= 1:
        raise SpecificationError("probability must be from 0 to 1")
    if fields.get("delay", 0) < 0 or (fields.get("times") or 0) < 0:
        raise SpecificationError("delay and times must not be negative")
    if not all(isinstance(value, str) for value in fields.get("headers", {}).values()):
        raise SpecificationError("headers must be strings")


class Faults:
    """The faults in force; the first that strikes a call has it."""

    def __init__(self) -> None:
        self.active: dict[str, Fault] = {}

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.active[fault.id] = fault

    def take(self, entry: Entry) -> Fault | None:
        """The fault that strikes this call, if any."""
        return next((fault for fault in self.active.values() if fault.strikes(entry)), None)
