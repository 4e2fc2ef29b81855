"""Telemetry: reports of errors to Sentry and traces by OpenTelemetry, each off until a setting says where to.

What is off is not imported.  `docs/telemetry.md` tells operators of it, `docs/decisions/0023-telemetry.md` why it is so.
"""

from django.conf import settings


def start() -> None:
    """Begin both, in a process that forks no children.  Once a process."""
    report_errors()
    trace()


def report_errors() -> None:
    """Begin to report errors, if `SENTRY_DSN` says where.  Once a process; children that are forked later go on with it."""
    if settings.SENTRY_DSN:
        from pipeline.telemetry import error_reports

        error_reports.start()


def trace() -> None:
    """Begin to trace, if `OTEL_EXPORTER_OTLP_ENDPOINT` says where to.  Once a process, after it was forked."""
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from pipeline.telemetry import traces

        traces.start()
