"""What the LMS does with the signals about badges: it takes note of them."""

import json
import logging
import os
from typing import Any

from django.conf import settings
from openedx_events.data import EventsMetadata
from openedx_events.learning.data import BadgeData

logger = logging.getLogger(__name__)


def receive(badge: BadgeData, metadata: EventsMetadata, **_: Any) -> None:
    """Log a received signal and append it to the file `LMS_SIGNALS_FILE`, as one line of JSON.

    A line has `type`, `id` (the signal's own), `badge` and `template` (UUIDs) and `learner` (LMS user id); no name and
    no e-mail. May be repeated, and is when the bus delivers a signal again: the line is then there twice, with one id.

    Raises:
        OSError: the file can't be written.
    """
    noted = {
        "type": metadata.event_type,
        "id": str(metadata.id),
        "badge": badge.uuid,
        "template": badge.template.uuid,
        "learner": badge.user.id,
    }
    line = json.dumps(noted)
    logger.info("The LMS received %s", line)
    if path := getattr(settings, "LMS_SIGNALS_FILE", ""):
        _append(path, f"{line}\n".encode())


def _append(path: str, line: bytes) -> None:
    """Add a line in one write, so that lines of several processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
