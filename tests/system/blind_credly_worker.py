"""The Celery app with one protection off: a call whose answer never came is repeated without looking at Credly first.

For the control run of `test_killed_credly_worker`; the worker is started with `-A tests.system.blind_credly_worker`.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
django.setup()

from pipeline.celery import app  # noqa: E402
from pipeline.ledgers import holdings  # noqa: E402
from pipeline.models import CredlyState, Standing  # noqa: E402

holdings.STEPS[(Standing.AWARDED, CredlyState.ISSUING)] = holdings.Step.ISSUE

__all__ = ["app"]
