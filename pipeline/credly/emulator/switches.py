"""Behaviours of Credly that nobody has confirmed, each behind a switch with its likeliest default."""

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from pipeline.credly.emulator.specification import SpecificationError

HELD = ("pending", "accepted")
"""States of a badge that its learner holds."""

_VALID: dict[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: type(value) is int and value >= 1, "a whole number from 1"),
    int | None: (
        lambda value: value is None or (type(value) is int and value >= 1),
        "null or a number from 1",
    ),
    float: (lambda value: type(value) in (int, float) and 0 <= value < float("inf"), "a number from 0"),
    list[str]: (
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "a list of badge states",
    ),
}


def _choice(default: Any, *others: Any) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


@dataclass
class Switches:
    """All switches. Their facts are in ``facts/credly-api.md``, sections 2 to 11.

    Lists hold badge states, times are seconds, ``None`` means no limit.
    """

    enforce_token_flags: bool = True
    """Answer 403 to a token without the flag (read, write, delete) that the call needs."""
    basic_without_colon: bool = True
    """Accept ``base64(token)`` as Open edX sends it, without the colon of RFC 7617."""
    unauthorized_body: str = _choice("json", "text", "empty")
    """Form of the 401 answer."""
    page_size: int = 50
    """Items on a page."""
    next_page_keeps_query: bool = True
    """Whether ``next_page_url`` carries filter and sort over."""
    next_page_under_api: bool = False
    """Whether ``next_page_url`` begins with ``/api/v1/``."""
    empty_list_total_pages: int = _choice(1, 0)
    """``total_pages`` of a list without items."""
    unknown_filter_keys: str = _choice("ignore", "reject")
    """What an unknown filter key does: nothing, or 400."""
    unknown_template_status: int = _choice(404, 422)
    """Status of issuing from a template that the organization does not have."""
    duplicate_states: list[str] = field(default_factory=lambda: list(HELD))
    """States in which a badge blocks another issue to the same learner."""
    revocable_states: list[str] = field(default_factory=lambda: list(HELD))
    """States from which a revocation is accepted; with ``revoked`` in it, repeating one succeeds."""
    accept_rejected: bool = False
    """Whether an earner may still accept what they rejected."""
    accept_automatically: bool = False
    """Whether a new badge is ``accepted`` at once."""
    unknown_user: str = _choice("stub", "null")
    """The ``user`` of a badge whose address has no Credly account."""
    event_object: str = _choice("snapshot", "live")
    """Whether an event shows its badge or template as it was, or as it is."""
    deleted_event_object: str = _choice("snapshot", "id")
    """Whether a ``.deleted`` event shows the whole object or its id alone."""
    events_order: str = _choice("oldest_first", "newest_first")
    """Order of the event feed."""
    batch_limit: int | None = None
    """Largest number of badges in one batch."""
    calls_per_minute: int | None = None
    """Calls an organization may make in a minute before 429; Credly publishes no limit."""
    webhook_success: str = _choice("200", "2xx")
    """Which answers count as a delivered webhook."""
    webhook_timeout: float = 5.0
    """Seconds to wait for a webhook's answer."""
    webhook_time_factor: float = 1.0
    """What the retry intervals are multiplied by: 0.001 makes a minute 60 milliseconds."""
    webhook_hold: bool = False
    """Keep new deliveries back until they are released."""

    def patch(self, changes: dict[str, Any]) -> None:
        """Set the named switches, all or none. Raises SpecificationError for a bad name or value."""
        known = {entry.name: entry for entry in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise SpecificationError(f"unknown switch {name!r}; known are: {', '.join(sorted(known))}")
            self._check(value, known[name])
        for name, value in changes.items():
            setattr(self, name, value)

    def _check(self, value: Any, switch: "Field[Any]") -> None:
        choices = switch.metadata.get("choices")
        if choices is not None:
            if value not in choices:
                raise SpecificationError(f"{switch.name} must be one of {', '.join(map(repr, choices))}")
            return
        valid, words = _VALID[switch.type]
        if not valid(value):
            raise SpecificationError(f"{switch.name} must be {words}")
