"""Probes for a supervisor: alive, and ready; and who answers them."""

import logging
from collections.abc import Callable, Mapping

from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pipeline import nudges
from pipeline.bus import waiting
from pipeline.web.metrics import metrics

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Database, broker and bus answer: 200, else 503 with which of them does not."""
    parts = {"database": _database, "broker": nudges.ping, "bus": waiting.ping}
    states = {name: _state(name, probe) for name, probe in parts.items()}
    ready = all(state == "ok" for state in states.values())
    return JsonResponse(states, status=200 if ready else 503)


def _state(name: str, probe: Callable[[], object]) -> str:
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - whatever a part raises means that it is not ready
        # The kind of error only: its text may hold the address and the login.
        logger.warning("Not ready: the %s does not answer (%s)", name, type(error).__name__)
        return "does not answer"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class ProbesMiddleware:
    """Answers those who watch the process, by whatever name they call it.

    Kubernetes and Prometheus call a pod by its address, which no setting can list, and which is no name that a page would be
    made for: so these answers hold no link, and come before the name is looked at.
    """

    VIEWS: Mapping[str, Callable[[HttpRequest], HttpResponseBase]] = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
    }

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer, or that of the rest of the site."""
        return self.VIEWS.get(request.path_info, self._get_response)(request)
