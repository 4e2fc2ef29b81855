"""Fuses: a test arms one at a named point; the process that reaches the point for the nth time is struck there.

A fuse blows once, whatever the number of processes: they count together.
"""

import enum
import json
import os
import re
import signal
import time
import uuid
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.faults import switchboard
from tests.faults.databases import cut_own_connection

LINGER_SECONDS = 1.0
"""How long a process stays at the point after SIGTERM, so that it is told to stop while it has the work in hand."""


class Blow(enum.Enum):
    """What strikes the process."""

    KILL = "SIGKILL"  # it and its children: what a machine that dies does
    KILL_CHILD = "SIGKILL of the child"  # of a worker, the one process that has the work in hand
    STOP = "SIGTERM"
    PAUSE = "SIGSTOP"  # the test continues it later
    CUT = "connection cut"  # the one to the database that the work is done over


@dataclass(frozen=True)
class Blown:
    """A fuse that blew: in which process group (its id is that of the group's first process)."""

    point: str
    blow: Blow
    group: int


@dataclass(frozen=True)
class Fuse:
    """One fuse, by the files that stand for it."""

    folder: Path
    point: str
    blow: Blow
    nth: int
    id: str

    def blown(self) -> Blown | None:
        """Whom it struck, if it has."""
        file = self.folder / "blown" / self.id
        return Blown(self.point, self.blow, json.loads(file.read_text())) if file.exists() else None

    def disarm(self) -> None:
        """Take it away if it has not blown.  May be repeated."""
        _file(self.folder, self.point).unlink(missing_ok=True)


def arm(folder: Path, point: str, blow: Blow, nth: int = 1) -> Fuse:
    """Put a fuse at a point, in place of one that may be there."""
    fuse = Fuse(folder, point, blow, nth, uuid.uuid4().hex)
    switchboard.write(_file(folder, point), json.dumps([fuse.id, blow.value, nth]))
    return fuse


def reach(point: str) -> None:
    """What a process does at a point: count, and blow the fuse if it is its turn."""
    folder = switchboard.folder()
    try:
        identity, blow, nth = json.loads(_file(folder, point).read_text())
    except FileNotFoundError:
        return
    turn = next(number for number in count(1) if switchboard.is_first(folder / "turns" / f"{identity}.{number}"))
    if turn == nth:
        _file(folder, point).unlink(missing_ok=True)
        switchboard.write(folder / "blown" / identity, json.dumps(os.getpgrp()))
        _strike(Blow(blow))


def _strike(blow: Blow) -> None:
    match blow:
        case Blow.KILL:
            os.killpg(0, signal.SIGKILL)
        case Blow.KILL_CHILD:
            os.kill(os.getpid(), signal.SIGKILL)
        case Blow.STOP:
            os.kill(os.getpgrp(), signal.SIGTERM)
            time.sleep(LINGER_SECONDS)
        case Blow.PAUSE:
            os.killpg(0, signal.SIGSTOP)
        case Blow.CUT:
            cut_own_connection()


def _file(folder: Path, point: str) -> Path:
    return folder / "armed" / re.sub(r"\W+", "-", point)
