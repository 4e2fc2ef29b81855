"""`manage.py consume_events`: Open edX's own command, which swallows every error, taught to refuse wrong arguments."""

import json
from typing import Any

from django.core.management.base import CommandError
from openedx_events.management.commands import consume_events

from pipeline import telemetry


class Command(consume_events.Command):
    """Run a consumer of the event bus."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Check `--extra`, start what watches this process, then do what the stock command does.

        Raises:
            CommandError: `--extra` is no JSON object.
        """
        extra = options.get("extra") or "{}"
        try:
            is_object = isinstance(json.loads(extra), dict)
        except ValueError:
            is_object = False
        if not is_object:
            raise CommandError(
                f"--extra: {extra!r} is not allowed; it must be a JSON object, in quotes for the shell: "
                """--extra '{"consumer_name": "credentials_dev.consumer1"}'""",
                returncode=2,
            )
        telemetry.start()
        super().handle(*args, **options)
