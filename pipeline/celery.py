"""The Celery app `pipeline`; every setting of it stands in the top-level `celeryconfig.py`."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")

app = Celery("pipeline")
app.config_from_object("celeryconfig")


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Keep Celery from setting up logging of its own: Django's `LOGGING` serves every process."""


@celeryd_init.connect
@beat_init.connect
def refuse_while_switched_off(**_: Any) -> None:
    """Stop a worker or beat that starts while the feature switch is off."""
    from pipeline.switch import require_badges_enabled

    require_badges_enabled()
