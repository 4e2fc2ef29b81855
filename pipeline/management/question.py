"""The question that a command asks before it does something."""

import sys

from django.core.management.base import CommandError


def ask(question: str) -> None:
    """Return if the person at the terminal says yes; the question goes to standard error.

    Raises:
        CommandError: they don't, or there is no terminal and so nobody to ask.
    """
    if not sys.stdin.isatty():
        raise CommandError("Nothing was done: there is nobody to ask here, so give --yes.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was done.")
