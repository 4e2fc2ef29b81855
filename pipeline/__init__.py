"""From learner events on the Open edX event bus to badges at Credly, without losing or doubling one."""

from pipeline.celery import app as celery_app

__all__ = ["celery_app"]
