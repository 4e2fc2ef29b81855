"""Spans of Celery's tasks: a moment in which one was sent, and the time that its run took.

Who sent a task is the parent of its run, across processes: its name travels in the message's headers.
"""

from contextvars import ContextVar, Token
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_failure, task_postrun, task_prerun, worker_process_shutdown
from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider

Run = tuple[trace.Span, Token[contexts.Context]]

_run: ContextVar[Run | None] = ContextVar("run", default=None)


def record(provider: TracerProvider) -> None:
    """Have every task that this process sends or runs recorded from now on."""
    tracer = provider.get_tracer(__name__)

    def send(sender: str, headers: dict[str, Any], **_: Any) -> None:
        span = tracer.start_span(f"send {sender}", kind=trace.SpanKind.PRODUCER)
        propagate.inject(headers, trace.set_span_in_context(span))
        span.end()

    def begin(task: Task, **_: Any) -> None:
        context = propagate.extract(_headers(task))
        span = tracer.start_span(f"run {task.name}", context, kind=trace.SpanKind.CONSUMER)
        _run.set((span, contexts.attach(trace.set_span_in_context(span, context))))

    def fail(exception: BaseException, **_: Any) -> None:
        if run := _run.get():
            run[0].record_exception(exception)
            run[0].set_status(trace.StatusCode.ERROR)

    def end(**_: Any) -> None:
        if run := _run.get():
            _run.set(None)
            contexts.detach(run[1])
            run[0].end()

    def leave(**_: Any) -> None:
        # A forked child ends without the functions that `atexit` knows.
        provider.shutdown()

    before_task_publish.connect(send, weak=False)
    task_prerun.connect(begin, weak=False)
    task_failure.connect(fail, weak=False)
    task_postrun.connect(end, weak=False)
    worker_process_shutdown.connect(leave, weak=False)


def _headers(task: Task) -> dict[str, str]:
    """Those of its message that tell who sent it."""
    found = {name: getattr(task.request, name, None) for name in propagate.get_global_textmap().fields}
    return {name: value for name, value in found.items() if isinstance(value, str)}
