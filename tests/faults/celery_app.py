"""The Celery app with points, switchable protections and, if asked, shorter waits: `celery -A tests.faults.celery_app`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
django.setup()

from pipeline.celery import app  # noqa: E402
from tests.faults import pace, points, protections  # noqa: E402

pace.set_if_asked()
pace.set_schedule_if_asked(app)
protections.install()
points.install()

__all__ = ["app"]
