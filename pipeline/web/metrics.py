"""Where Prometheus asks."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from pipeline.metrics.exposition import Exposition

exposition = Exposition()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics, for whoever shows `METRICS_TOKEN` as a bearer token.

    Without that setting they are closed, unless `METRICS_OPEN` says otherwise.  An address proves nothing: behind a proxy
    every call comes from this very machine.
    """
    if not settings.METRICS_TOKEN:
        if not settings.METRICS_OPEN:
            return _refusal(
                403, "Metrics are closed: set METRICS_TOKEN here, and the same as bearer token in Prometheus."
            )
    elif not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        answer = _refusal(401, "Metrics need the bearer token that METRICS_TOKEN names.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    return HttpResponse(exposition.page(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _refusal(status: int, line: str) -> HttpResponse:
    return HttpResponse(f"{line}\n", status=status, content_type="text/plain")
