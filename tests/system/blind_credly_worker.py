"""The Celery app with one protection off: a call whose answer never came is repeated without looking at Credly first.

For the control run of `test_killed_credly_worker`; the worker is started with `-A tests.system.blind_credly_worker`.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
django.setup()

from pipeline.celery import app  # noqa: E402
from pipeline.ledgers import steps  # noqa: E402
from pipeline.models import Standing  # noqa: E402

careful = steps.step
steps.step = lambda badge: steps.Step.ISSUE if badge.standing == Standing.AWARDED else careful(badge)

__all__ = ["app"]
