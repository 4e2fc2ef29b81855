"""Errors reported to Sentry: what failed, where in the code, and what it was about; never with what data.

Libraries attach requests, arguments, variables and former log lines to an error.  As in `logs.py`, what is not on a list of
ours is not sent.
"""

import logging
from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.types import Event, Hint

from pipeline import logs

SENT = (
    "event_id",
    "timestamp",
    "platform",
    "level",
    "logger",
    "transaction",
    "release",
    "environment",
    "server_name",
    "modules",
    "sdk",
)
SENT_OF_AN_EXCEPTION = ("type", "module", "mechanism", "stacktrace")
SENT_OF_A_MECHANISM = ("type", "handled", "exception_id", "parent_id", "source")
SENT_OF_A_FRAME = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "pre_context",
    "context_line",
    "post_context",
    "in_app",
)
LONGEST_TAG = 200
"""Sentry drops longer ones (https://docs.sentry.io/platforms/python/enriching-events/tags/)."""


def start() -> None:
    """Report what goes wrong from now on: uncaught errors, and what is logged at level ERROR or above."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        release=settings.SENTRY_RELEASE or None,
        # Only these.  Others add headers to calls of Credly, or collect what is not sent anyway.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=_say_nothing),
            CeleryIntegration(propagate_traces=False),
            DedupeIntegration(),
            DjangoIntegration(signals_spans=False),
            ExcepthookIntegration(),
            LoggingIntegration(level=None, event_level=logging.ERROR, sentry_logs_level=None),
        ],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        before_send=discreet,
    )


def discreet(event: Event, _: Hint) -> Event:
    """The report with nothing but what is listed above, and the ids of what this thread works on as tags."""
    report = _only(SENT, event)
    report["tags"] = {kind: str(value)[:LONGEST_TAG] for kind, value in logs.subject().items()}
    if "logentry" in event:
        # As it stands in the code: what is filled in may be anything.
        report["logentry"] = {"message": event["logentry"]["message"]}
    if "exception" in event:
        report["exception"] = {"values": [_discreet_exception(each) for each in event["exception"]["values"]]}
    return report  # type: ignore[return-value] # a TypedDict can't be built by a loop


def _discreet_exception(exception: dict[str, Any]) -> dict[str, Any]:
    told = _only(SENT_OF_AN_EXCEPTION, exception)
    if told.get("mechanism"):
        told["mechanism"] = _only(SENT_OF_A_MECHANISM, told["mechanism"])
    if told.get("stacktrace"):
        told["stacktrace"] = {"frames": [_only(SENT_OF_A_FRAME, frame) for frame in told["stacktrace"]["frames"]]}
    if settings.DEBUG:
        told["value"] = exception.get("value")
    return told


def _only(names: tuple[str, ...], whole: Any) -> dict[str, Any]:
    return {name: whole[name] for name in names if name in whole}


def _say_nothing(_pending: int, _timeout: float) -> None:
    """Sentry's own would print, at a process's end, that it is sending."""
