"""What Credly says when it refuses, as one line that is safe to store, show and log.

The body of a refusal was rebuilt from clients' code, not from documentation (``facts/credly-api.md`` section
8.1), so everything in it is optional here.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from pipeline.credly.parsing import MalformedError

LONGEST = 500
"""Characters of Credly's message that are kept."""

_ADDRESS = re.compile(r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,255}")


def complaint(body: bytes) -> str:
    """All that the body of a refusal says, empty if it says nothing; not safe yet, see ``one_line``.

    Raises MalformedError for what is not JSON (a page or a line of text comes from something in front of Credly).
    """
    text = body.decode("utf-8", "replace").strip("\ufeff \t\r\n")
    if not text:
        return ""
    if text.startswith("<"):
        raise MalformedError("the body is an HTML page")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError("the body is not readable JSON") from error
    return "; ".join(_statements(content))


def says_duplicate(text: str) -> bool:
    """Whether a 422 means that the learner already holds the badge (section 8.3: only this phrase does)."""
    return "already has this badge" in text.casefold()


def one_line(text: str, hidden: Iterable[str] = ()) -> str:
    """The text on one line of at most 500 characters, without e-mail addresses or any of ``hidden``."""
    text = text[: 4 * LONGEST]  # the patterns below must not run over megabytes
    for secret in filter(None, hidden):
        for form in (secret, quote(secret, safe="")):
            text = re.sub(re.escape(form), "[hidden]", text, flags=re.IGNORECASE)
    text = _ADDRESS.sub("[hidden]", text)
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:LONGEST]


def _statements(content: object) -> Iterator[str]:
    """Each thing the body says once: its message, then what its errors add to that."""
    source = content.get("data", content) if isinstance(content, dict) else content
    if not isinstance(source, dict):
        return
    message = source.get("message") or source.get("error")
    said = message if isinstance(message, str) else ""
    if said:
        yield said
    errors = source.get("errors")
    for error in errors if isinstance(errors, list) else []:
        for detail in _details(error):
            if detail not in said:
                yield detail


def _details(error: object) -> Iterator[str]:
    """The texts of one entry of ``errors``: ``messages`` is a string for some clients, a list for others."""
    if isinstance(error, str):
        yield error
    if not isinstance(error, dict):
        return
    label = error.get("attribute_label") or error.get("attribute")
    messages = error.get("messages")
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, str):
            yield f"{label} {message}" if isinstance(label, str) else message
