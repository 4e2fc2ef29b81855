"""The arguments by which a command is told which person it is about."""

import argparse
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pipeline.ledgers import mentions

LARGEST = 2**63 - 1
"""What the database takes as an LMS user id."""


def add_arguments(parser: CommandParser) -> None:
    """Define `--username`, `--email` and `--lms-user-id`, of which one is needed."""
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--username", metavar="U", help="the username in the LMS")
    who.add_argument("--email", metavar="E", help="the e-mail, in whatever case")
    who.add_argument(
        "--lms-user-id",
        metavar="N",
        type=lms_user_id,
        help="the user id in the LMS; unlike username and e-mail it leaves no name in the shell's history",
    )


def chosen(options: dict[str, Any]) -> int:
    """The LMS user id of the person.

    Raises:
        CommandError: nothing is held about them.
    """
    try:
        if options["username"] is not None:
            return mentions.by_username(options["username"])
        if options["email"] is not None:
            return mentions.by_email(options["email"])
        return mentions.by_id(options["lms_user_id"])
    except mentions.NothingHeld as nothing:
        raise CommandError(str(nothing)) from nothing


def lms_user_id(text: str) -> int:
    """An LMS user id as an argument.

    Raises:
        ArgumentTypeError: it is no whole number from 1 that the database takes.
    """
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a whole number from 1")
    return int(text)
