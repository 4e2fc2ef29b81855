"""Makes a worker log everything.  Workers get it by `-I tests.tasks.loud`."""

import logging
from typing import Any

from celery.signals import celeryd_after_setup


@celeryd_after_setup.connect
def log_everything(**_: Any) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
