"""`--keep`: the system goes on running, and people are told where it is."""

import secrets
import shlex
import signal
import threading

from pipeline.demo.scenario import BADGES_FILE
from pipeline.embedded.system import PROJECT, System

EXAMPLE_LEARNER = "safety-renewed-1"
"""One who loses a badge and earns it again."""


def keep(system: System) -> str:
    """Create an administrator; returns where everything is and what to try."""
    password = secrets.token_urlsafe(12)
    system.manage(
        "createsuperuser",
        "--no-input",
        "--username",
        "admin",
        "--email",
        "admin@example.org",
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    web = f"http://127.0.0.1:{system.port}/"
    flower_user, _, flower_password = system.flower_login.partition(":")
    return (
        "\nEverything is running:\n"
        f"  status page      {web}  user admin, password {password}\n"
        f"  admin            {web}admin/  the same\n"
        f"  Flower           http://127.0.0.1:{system.flower_port}/  user {flower_user}, password {flower_password}\n"
        f"  Credly emulator  {system.credly_url}\n"
        "\nWhat to try next, in another terminal\n"
        f"  cd {shlex.quote(str(PROJECT))}; set -a; . {_environment_file(system)}; set +a\n"
        f"  python manage.py badge_status --username {EXAMPLE_LEARNER}\n"
        "  python manage.py pipeline_status\n"
        f"  python manage.py import_badges {BADGES_FILE.relative_to(PROJECT)} --dry-run\n"
        "  python manage.py produce_events --learners 10 --start-id 5001\n"
        "\nCtrl-C ends all."
    )


def wait_for_interrupt() -> None:
    """Return at SIGINT, SIGTERM or SIGHUP."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    told.wait()


def _environment_file(system: System) -> str:
    """Write the processes' environment for a shell; it holds this run's keys, so only its owner may read it."""
    file = system.folder / "environment.sh"
    file.touch(mode=0o600)
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in system.environment.items())
    file.write_text("".join(lines), encoding="utf-8")
    return shlex.quote(str(file))
