"""Log lines: one format for every process, and in each line what it is about.

Whoever works on an event, badge or signal says so by `about`; every line that is logged meanwhile, by whatever library, then
carries its id.  A line never quotes the text of an exception, which may hold a learner's data, unless the site is debugged.
"""

import copy
import logging
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

Subject = Mapping[str, Any]
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

MOST_NAMED = 100
"""Ids in one line; log collectors cut or split lines of ten thousand characters."""

MOST_CAUSES = 10
"""Exceptions in one traceback, each the cause of the next."""

PROCESS = next(filter(None, map(os.environ.get, ("DYNO", "PS", "HONCHO_PROCESS_NAME"))), "")
"""What the platform calls this process, such as `worker.1`."""

_subject: ContextVar[Subject] = ContextVar("subject", default={})  # noqa: B039 - it is never changed, only replaced


def subject() -> Subject:
    """What this thread works on at this moment: ids by the kind of thing."""
    return _subject.get()


def set_subject(ids: Subject) -> None:
    """Say what this thread works on until it says something else."""
    _subject.set(ids)


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Lines that are logged meanwhile carry these ids too."""
    before = _subject.set({**_subject.get(), **ids})
    try:
        yield
    finally:
        _subject.reset(before)


def name(logger: logging.Logger, doing: str, kind: str, ids: Sequence[object]) -> None:
    """Log what is done to these rows of a kind, so that each one's id is found in the log; `MOST_NAMED` to a line."""
    for start in range(0, len(ids), MOST_NAMED):
        named = [str(each) for each in ids[start : start + MOST_NAMED]]
        with about(**({kind: named[0]} if len(ids) == 1 else {f"{kind}s": named})):
            logger.info("%s %s %s(s)", doing, len(named), kind)


class _Lines(logging.Formatter):
    """What both formats share.

    Args:
        texts: whether exceptions are quoted; else only their kind and place are told.
    """

    def __init__(self, *, texts: bool) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """One line, of a copy: other handlers get the record as it was."""
        record = copy.copy(record)
        record.exc_text = None
        if not self._texts and isinstance(record.args, dict) and "exc" in record.args:
            # Celery's lines about failed tasks quote the exception's repr.
            record.args = {**record.args, "exc": str(record.args["exc"]).partition("(")[0]}
        return super().format(record)

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - logging's own name
        """The traceback."""
        return super().formatException(ei) if self._texts else _kinds_and_places(ei[1])


class JsonLines(_Lines, JsonFormatter):
    """A JSON object per line: `time`, `level`, `logger`, `message`, `process`, `pid`, what it is about, `traceback`."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Only what is listed here: libraries attach whole requests and tasks to their records."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        log_data["process"] = PROCESS
        log_data["pid"] = record.process
        log_data.update(_all_subjects(record))
        if "exc_info" in message_dict:
            log_data["traceback"] = message_dict["exc_info"]


class TextLines(_Lines):
    """For people: time, level, logger, message, and in brackets what it is about."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line without a traceback."""
        ids = " ".join(f"{kind}={value}" for kind, value in _all_subjects(record).items())
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {record.message}"
        return f"{line} [{ids}]" if ids else line


def settings(line_format: str, level: str, *, debug: bool) -> dict[str, Any]:
    """Django's `LOGGING`.

    Args:
        line_format: `json` or `text`.
        level: name of the lowest level that is logged.
        debug: whether exceptions may be quoted.
    """
    lines = {"json": JsonLines, "text": TextLines}[line_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lines, "texts": debug}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # It logs the whole data of every event, names and e-mails included.
            "openedx_events": {"level": "WARNING"},
            # It logs the address of each call to Kafka's schema registry, with the password that may be in it.
            "httpx2": {"level": "WARNING"},
            # At DEBUG, one tells each variable that a template does without, the other its cookie's secret.
            "django.template": {"level": "INFO"},
            "flower.command": {"level": "INFO"},
            # Django's own handlers would print what it logs a second time, in another format.
            "django": {"level": level, "handlers": [], "propagate": True},
        },
    }


def _all_subjects(record: logging.LogRecord) -> dict[str, Any]:
    """Those of the thread; of a line that a worker logs about a task, that task too."""
    task = getattr(record, "data", None)
    if record.name.startswith("celery.") and isinstance(task, dict) and "id" in task:
        return {"task": task["id"], "stage": task.get("name"), **_subject.get()}
    return dict(_subject.get())


def _kinds_and_places(error: BaseException | None) -> str:
    """The traceback without the texts of exceptions, the outermost last as in Python's own."""
    parts: list[str] = []
    while error is not None and len(parts) < MOST_CAUSES:
        parts.append("".join([*traceback.format_tb(error.__traceback__), type(error).__qualname__]))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nled to\n".join(reversed(parts))
