"""Traces by OpenTelemetry: where the time goes, call by call, on an event's way through the stages.

Requests, runs of tasks, and calls to PostgreSQL, Redis and Credly are spans.  What is not listed in `SENT` is not sent.
"""

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.util.types import Attributes, AttributeValue

from pipeline import logs
from pipeline.telemetry import task_spans

OURS = "badges."
SENT = frozenset(
    {
        "db.namespace",
        "db.query.text",
        "db.system.name",
        "error.type",
        "exception.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "server.address",
        "server.port",
        "url.full",
    }
)
"""Names of https://opentelemetry.io/docs/specs/semconv/.  Statements come with placeholders, their parameters never."""

UNTRACED = "healthz,readyz,metrics,static/"
LONGEST_TEXT = 2_000
LONGEST_NAME = 100
"""A pipeline of Redis is named by all of its commands."""

# A process that ends sends what is left: at the most two batches and the one that is under way, so within 6 s.
QUEUE = 2_048
BATCH = 1_024
EXPORT_SECONDS = 2


class WholeWays(Sampler):
    """Leaves out calls that belong to no request and no task: that is polling.  Of the rest, `chosen` decides.

    Args:
        chosen: the sampler that `OTEL_TRACES_SAMPLER` names.
    """

    def __init__(self, chosen: Sampler) -> None:
        self._chosen = chosen

    def should_sample(
        self,
        parent_context: contexts.Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        """Whether the span that begins is recorded."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if kind is trace.SpanKind.CLIENT and not parent.is_valid:
            return SamplingResult(Decision.DROP)
        return self._chosen.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """For people."""
        return f"WholeWays({self._chosen.get_description()})"


class Subjects(SpanProcessor):
    """Gives each span the ids of what its thread works on: `badges.event`, `badges.badge`, `badges.stage`, and so on."""

    def on_start(self, span: Span, parent_context: contexts.Context | None = None) -> None:
        """As it begins, for a task's end forgets them."""
        for kind, value in logs.subject().items():
            span.set_attribute(OURS + kind, value)


class Discreet(SpanExporter):
    """Hands on spans with the attributes of `SENT` alone, and of exceptions the kind alone.

    Args:
        exporter: sends them.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send these spans; what the receiver does not take is lost."""
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        """No more will come."""
        self._exporter.shutdown()


def start() -> None:
    """Trace from now on, in this process.

    1. Make the pipeline that spans go through.  `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS` and the like are read by
       the library, from the environment alone.
    2. Have calls, requests and tasks recorded.
    """
    # The names that `SENT` has; without this the instrumentations give older ones.
    os.environ.update(OTEL_SEMCONV_STABILITY_OPT_IN="http,database")
    resource = Resource.create({"service.name": settings.OTEL_SERVICE_NAME, "service.instance.id": logs.PROCESS})
    provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_attribute_length=LONGEST_TEXT))
    provider.sampler = WholeWays(provider.sampler)
    endpoint = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
    exporter = Discreet(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS))
    provider.add_span_processor(Subjects())
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE, max_export_batch_size=BATCH))
    trace.set_tracer_provider(provider)

    DjangoInstrumentor().instrument(excluded_urls=UNTRACED)
    PsycopgInstrumentor().instrument()
    RedisInstrumentor().instrument()
    RequestsInstrumentor().instrument()
    ThreadingInstrumentor().instrument()
    task_spans.record(provider)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name[:LONGEST_NAME],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_discreet_attributes(span.attributes),
        events=[Event(event.name, _discreet_attributes(event.attributes), event.timestamp) for event in span.events],
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _discreet_attributes(attributes: Attributes) -> dict[str, AttributeValue]:
    sent = {name: value for name, value in (attributes or {}).items() if name in SENT or name.startswith(OURS)}
    if "url.full" in sent:
        # A search at Credly has an address in its query.
        sent["url.full"] = urlsplit(str(sent["url.full"]))._replace(query="", fragment="").geturl()
    return sent
