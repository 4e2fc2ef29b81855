"""Reading the peer from a file of its `dumpdata`: JSON, or JSONL, which takes less memory."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from pipeline.switching.peer import Peer, PeerError
from pipeline.switching.tables import OTHER_PROVIDER, TABLES, add_other, check

Told = Callable[[str, int, int | None], None]
"""Told what is done, how many of it are done, and how many there are as far as is known."""

TOLD_EVERY = 1000

_TABLES = {table.label: table for table in TABLES}


def read_dump(file: str, told: Told) -> Peer:
    """Read a file that `manage.py dumpdata` of the peer wrote; what is of no concern in it is passed over.

    Raises:
        PeerError: it can't be read, is no such file, or is not whole.
    """
    found = Peer()
    try:
        with open(file, encoding="utf-8") as stream:
            for done, (place, record, total) in enumerate(_records(file, stream)):
                _add(found, record, place)
                if done % TOLD_EVERY == 0:
                    told("Reading", done, total)
    except OSError as error:
        raise PeerError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise PeerError(f"{file} is no UTF-8 text") from None
    check(found, file)
    return found


def _records(file: str, stream: TextIO) -> Iterator[tuple[str, Any, int | None]]:
    """Place and content of each record, and how many there are if that is known."""
    is_list = stream.read(1) != "{"
    stream.seek(0)
    if not is_list:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield f"{file}:{number}", _parse(line, f"{file}:{number}"), None
        return
    records = _parse(stream.read(), file)
    if not isinstance(records, list):
        raise PeerError(f"{file}: must be a list of records, as dumpdata writes it")
    for number, record in enumerate(records, start=1):
        yield f"{file}: record {number}", record, len(records)


def _parse(content: str, place: str) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise PeerError(f"{place}: no JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise PeerError(f"{place}: no JSON that dumpdata writes: nested too deeply") from None


def _add(found: Peer, record: Any, place: str) -> None:
    match record:
        case {"model": str(label)} if label in OTHER_PROVIDER:
            add_other(found, label, record.get("pk"), place)
        case {"model": str(label), "fields": dict(fields)}:
            if label in _TABLES:
                _TABLES[label].add(found, record.get("pk"), fields, place)
        case _:
            raise PeerError(f"{place}: must have a model and fields, as dumpdata writes them")
