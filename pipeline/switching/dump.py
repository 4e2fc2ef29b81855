"""Reading the peer from a file of its `dumpdata`: JSON, or JSONL, which takes less memory."""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TextIO

from pipeline.switching.peer import Peer, PeerError
from pipeline.switching.tables import ACCREDIBLE, TABLES, add_other, check

Advance = Callable[[str, int, int | None], None]
"""Called with what is done, how many of it are done, and how many there are as far as is known."""

ADVANCE_EVERY = 1000

STANDARD_INPUT = "-"

_TABLES = {table.label: table for table in TABLES}


def read_dump(file: str, advance: Advance) -> Peer:
    """Read a file that `manage.py dumpdata` of the peer wrote; what is of no concern in it is passed over.

    Args:
        file: its path, which may be a pipe's, or `-` for standard input.
        advance: called after every `ADVANCE_EVERY` records.

    Raises:
        PeerError: it can't be read, is no such file, or is not whole.
    """
    found = Peer()
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        with _opened(file) as stream:
            for done, (place, record, total) in enumerate(_records(name, stream)):
                _add(found, record, place)
                if done % ADVANCE_EVERY == 0:
                    advance("Reading", done, total)
    except OSError as error:
        raise PeerError(f"can't read {name}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise PeerError(f"{name} is no UTF-8 text") from None
    check(found, name)
    return found


def _opened(file: str) -> TextIO:
    if file == STANDARD_INPUT:
        return open(sys.stdin.fileno(), encoding="utf-8", closefd=False)
    return open(file, encoding="utf-8")


def _records(file: str, stream: TextIO) -> Iterator[tuple[str, Any, int | None]]:
    """Place and content of each record, and how many there are if that is known."""
    first = stream.readline()
    if first.startswith("{"):
        for number, line in enumerate(chain([first], stream), start=1):
            if line.strip():
                yield f"{file}:{number}", _parse(line, f"{file}:{number}"), None
        return
    records = _parse(first + stream.read(), file)
    if not isinstance(records, list):
        raise PeerError(f"{file}: must be a list of records, as dumpdata writes it")
    for number, record in enumerate(records, start=1):
        yield f"{file}: record {number}", record, len(records)


def _parse(content: str, place: str) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise PeerError(f"{place}: no JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except ValueError:
        raise PeerError(f"{place}: no JSON that dumpdata writes: a number of thousands of digits") from None
    except RecursionError:
        raise PeerError(f"{place}: no JSON that dumpdata writes: nested too deeply") from None


def _add(found: Peer, record: Any, place: str) -> None:
    match record:
        case {"model": str(label)} if label in ACCREDIBLE:
            add_other(found, label, record.get("pk"), place)
        case {"model": str(label), "fields": dict(fields)}:
            if label in _TABLES:
                _TABLES[label].add(found, record.get("pk"), fields, place)
        case _:
            raise PeerError(f"{place}: must have a model and fields, as dumpdata writes them")
