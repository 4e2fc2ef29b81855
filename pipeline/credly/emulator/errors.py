"""What the emulated Credly answers when it says no (facts/credly-api.md, section 8)."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RefusalError(Exception):
    """A call that Credly refuses, with the answer it gives; raising it undoes nothing by itself."""

    status: int
    message: str
    errors: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    error_index: int | None = None

    def body(self) -> dict[str, Any]:
        """The answer in Credly's envelope."""
        data: dict[str, Any] = {"message": self.message, "errors": self.errors}
        if self.error_index is not None:
            data["error_index"] = self.error_index
        return {"data": data, "metadata": self.metadata}


def label(attribute: str) -> str:
    """The attribute in words, as Rails writes it: ``recipient_email`` is ``Recipient email``."""
    return attribute.removesuffix("_id").replace("_", " ").capitalize()


def invalid(attribute: str, message: str) -> RefusalError:
    """A 422 for one attribute: ``invalid("recipient_email", "is invalid")``."""
    return RefusalError(
        422,
        f"Validation failed: {label(attribute)} {message}",
        [{"attribute": attribute, "attribute_label": label(attribute), "messages": [message]}],
    )


def not_found(what: str) -> RefusalError:
    """A 404 for the named kind of thing."""
    return RefusalError(404, f"{what} not found")


ALREADY_HAS = "already has this badge"


def duplicate(attribute: str) -> RefusalError:
    """The 422 of a badge that its learner already holds, by the attribute that gave it away."""
    return invalid(attribute, ALREADY_HAS)


def archived(state: str = "archived") -> RefusalError:
    """The 422 of issuing from a template that is not active."""
    return invalid("badge_template", f"is {state}")
