"""Commands, run as from a shell."""

import io
import signal
from dataclasses import dataclass

import pytest
from django.core.management import load_command_class


@dataclass(frozen=True)
class Ran:
    """A command's exit status and what it printed."""

    status: object
    out: str
    err: str


class Terminal(io.StringIO):
    """A terminal on which somebody has typed."""

    def isatty(self) -> bool:
        return True


class Interrupting(io.StringIO):
    """An output at which somebody presses Ctrl-C when the first line comes."""

    def write(self, text: str) -> int:
        if not self.tell():
            super().write(text)
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def run(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> Ran:
    status: object = 0
    try:
        load_command_class("pipeline", name).run_from_argv(["manage.py", name, *arguments])
    except SystemExit as ended:
        status = ended.code
    return Ran(status, *capsys.readouterr())
