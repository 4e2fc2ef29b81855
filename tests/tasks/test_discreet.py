"""A failed task tells what failed and where, and never the words of the error."""

import traceback
from typing import Any

import pytest
from django.db import DataError, connection

from tasks.emit import emit

ROW = "Failing row contains (7, Dana Moe, dana@learners.example)"

pytestmark = pytest.mark.django_db


def told() -> str:
    """What whoever watches a worker gets to see when the database breaks a task off and quotes a row."""

    def refuse(*_: Any) -> None:
        try:
            raise KeyError(ROW)
        except KeyError as error:
            raise DataError(ROW) from error

    with connection.execute_wrapper(refuse), pytest.raises(DataError) as raised:
        emit([1])
    return "".join([repr(raised.value), *traceback.format_exception(raised.value)])


def test_kind_and_place_are_told_and_the_words_are_not(settings: Any):
    settings.DEBUG = False
    assert told().startswith("DataError()")
    assert "pipeline/stages/emit.py" in told()
    assert "\nKeyError\n" in told(), "what led to it"
    assert "Dana" not in told()


def test_while_the_site_is_debugged_everything_is_told(settings: Any):
    settings.DEBUG = True
    assert ROW in told()
