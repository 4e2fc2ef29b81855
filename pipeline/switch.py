"""The feature switch `BADGES_ENABLED`."""

import sys

from django.conf import settings


def require_badges_enabled() -> None:
    """Return if badges are switched on; else say how to switch them on and end the process with status 1.

    Raises:
        SystemExit: `BADGES_ENABLED` is false.  Not an Exception: Celery and Open edX's `consume_events` swallow those.
    """
    if settings.BADGES_ENABLED:
        return
    sys.stderr.write(
        "Badges are switched off, so nothing is done: "
        "set BADGES_ENABLED=true (environment) or BADGES_ENABLED: true (the BADGES_CFG file) and start again.\n"
    )
    sys.exit(1)
