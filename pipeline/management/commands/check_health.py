"""`manage.py check_health PROCESS`: for supervisors, containers and Kubernetes."""

import http.client
import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from pipeline.management.command import DatabaseCommand
from pipeline.reports import health

LISTENING = {"web": ("PORT", "8000", "/healthz"), "flower": ("FLOWER_PORT", "5555", "/healthcheck")}
"""Processes that answer for themselves: the variable of their port, its default, and the path to ask for."""

ANSWER_SECONDS = 5.0

DEFAULT_PATIENCE = 120.0


class Command(DatabaseCommand):
    """Say whether a process does its work."""

    help = (
        "Whether a process does its work: exit status 0 and a line that says so, or 1 and a line that says what was seen. "
        "web and flower are asked at their port on this machine. The others are found deaf when work has waited for them "
        "and none was done; it is told from the database and the bus, so all of one kind are judged together. "
        "Example: ./manage.py check_health worker"
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the process and `--seconds`."""
        parser.add_argument("process", choices=[*health.PROOFS, *LISTENING], help="a process of the Procfile")
        parser.add_argument(
            "--seconds",
            type=float,
            default=DEFAULT_PATIENCE,
            help="how long work may wait while none is done (default: %(default)s)",
        )

    def handle(self, *, process: str, seconds: float, **_: Any) -> None:
        """Print why the process counts as healthy.

        Raises:
            CommandError: it does not.
        """
        try:
            proof = _ask(*LISTENING[process]) if process in LISTENING else health.prove(process, seconds)
        except health.Unhealthy as unhealthy:
            raise CommandError(f"{process}: {unhealthy}") from None
        self.stdout.write(f"{process}: {proof}")


def _ask(variable: str, default: str, path: str) -> str:
    """Any answer but an error of the server's own proves that it lives."""
    port = os.environ.get(variable) or default
    connection = http.client.HTTPConnection(f"127.0.0.1:{port}", timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": _host()})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise health.Unhealthy(f"Port {port} does not answer ({type(error).__name__}).") from None
    finally:
        connection.close()
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise health.Unhealthy(f"Port {port} answers {status}.")
    return f"port {port} answers"


def _host() -> str:
    """A name that the web process takes."""
    name = next(iter(settings.ALLOWED_HOSTS), "*").lstrip(".")
    return "localhost" if name == "*" else name
