"""Log lines, one by one: what they carry, and what they never quote."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import logs

SECRET = "ada@learners.example"
Log = Callable[..., str]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("celery.test")
    logger.propagate, level = False, logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(level)


@pytest.fixture
def written(logger: logging.Logger) -> Callable[..., io.StringIO]:
    """What the logger writes by a formatter."""

    def by(formatter: logging.Formatter) -> io.StringIO:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        return stream

    return by


def fail() -> None:
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError as error:
        raise KeyError(SECRET) from error


@pytest.mark.parametrize("formatter", [logs.JsonLines, logs.TextLines])
def test_an_exception_is_told_by_kind_and_place_and_not_quoted(written: Any, logger: logging.Logger, formatter: Any):
    stream = written(formatter(texts=False))
    try:
        fail()
    except KeyError:
        logger.exception("It failed")
    line = stream.getvalue()
    assert SECRET not in line
    assert all(word in line for word in ("ValueError", "KeyError", "in fail", "test_logs.py"))


@pytest.mark.parametrize("formatter", [logs.JsonLines, logs.TextLines])
def test_what_celery_quotes_of_a_failed_task_is_left_out(written: Any, logger: logging.Logger, formatter: Any):
    stream = written(formatter(texts=False))
    failed = {"id": "4711", "name": "issue", "exc": f"ValueError('{SECRET}')", "args": f"['{SECRET}']"}
    logger.error("Task %(name)s[%(id)s] raised unexpected: %(exc)s", failed, extra={"data": failed})
    assert SECRET not in stream.getvalue()
    assert "Task issue[4711] raised unexpected: ValueError" in stream.getvalue()


def test_while_the_site_is_debugged_exceptions_are_quoted(written: Any, logger: logging.Logger):
    stream = written(logs.TextLines(texts=True))
    try:
        fail()
    except KeyError:
        logger.exception("It failed")
    assert SECRET in stream.getvalue()


def test_a_line_is_about_what_is_worked_on_and_no_longer(written: Any, logger: logging.Logger):
    stream = written(logs.JsonLines(texts=False))
    with logs.about(event="e"):
        with logs.about(badge="b"):
            logger.info("both")
        logger.info("one")
    logger.info("none")
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line.get("event"), line.get("badge")) for line in found] == [("e", "b"), ("e", None), (None, None)]


def test_text_has_it_at_the_end(written: Any, logger: logging.Logger):
    stream = written(logs.TextLines(texts=False))
    with logs.about(event="e"):
        logger.info("Hello %s", "there")
    assert stream.getvalue().endswith(" INFO celery.test: Hello there [event=e]\n")


def test_what_libraries_attach_to_a_line_is_not_written(written: Any, logger: logging.Logger):
    stream = written(logs.JsonLines(texts=False))
    logger.info("Hello", extra={"request": SECRET, "data": {"id": "1", "name": "issue", "args": SECRET}})
    assert SECRET not in stream.getvalue()
    assert json.loads(stream.getvalue())["task"] == "1"


def test_a_line_stays_one_line_whatever_it_quotes(written: Any, logger: logging.Logger):
    stream = written(logs.JsonLines(texts=False))
    logger.info("Hello %s", 'x\n{"level": "forged"}')
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "INFO"


def test_of_many_events_each_is_named_and_no_line_gets_too_long(written: Any, logger: logging.Logger):
    stream = written(logs.JsonLines(texts=False))
    ids = [f"00000000-0000-0000-0000-{number:012}" for number in range(500)]
    logs.name(logger, "Took", "event", ids)
    found = stream.getvalue().splitlines()
    assert [event for line in found for event in json.loads(line)["events"]] == ids
    assert max(map(len, found)) < 10_000
