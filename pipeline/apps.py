"""The Django application."""

from django.apps import AppConfig


class PipelineConfig(AppConfig):
    """Tables, admin and commands of the badges pipeline."""

    name = "pipeline"
    verbose_name = "Open badges"

    def ready(self) -> None:
        """Register the system checks."""
        from pipeline import checks  # noqa: F401
