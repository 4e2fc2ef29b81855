"""The Django application of the stand-in for the LMS."""

from django.apps import AppConfig
from openedx_events.learning.signals import BADGE_AWARDED, BADGE_REVOKED


class LmsConfig(AppConfig):
    """Listens to what the pipeline tells about badges."""

    name = "pipeline.lms"
    label = "lms"

    def ready(self) -> None:
        """Connect the receiver to both signals. May be repeated."""
        from pipeline.lms.receiver import receive

        BADGE_AWARDED.connect(receive, dispatch_uid="lms")
        BADGE_REVOKED.connect(receive, dispatch_uid="lms")
