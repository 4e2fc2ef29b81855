"""Error reports and traces of a running system, as Sentry and a collector get them; and that both are off by default."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from honcho.environ import parse_procfile

from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.system import PROJECT, System
from pipeline.lms.events import LmsEvent, LmsLearner
from tests.system.academy import Academy, requirement
from tests.system.conditions import eventually

pytest.importorskip("sentry_sdk", reason="needs requirements-sentry.txt")
trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs requirements-otel.txt"
)

COURSE = "course-v1:Telemetry+Privacy+2026"
MARK = "zyq"
"""In every name, address and key here, and nowhere else."""
LEARNER = LmsLearner(id=77, username=f"{MARK}-username", email=f"{MARK}@learners.example", name=f"{MARK} Name")
KEY = f"{MARK}-key-of-credly"
RUNS = ["run evaluate", "run persist", "run issue", "run emit"]

Span = dict[str, Any]


class Receiver:
    """Sentry and a collector in one: keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        kept = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.append((self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body))
                self.answer()

            def do_GET(self) -> None:
                self.answer()

            def answer(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path: str) -> list[bytes]:
        return [body for to, body in list(self.received) if to == path]

    def reports(self) -> list[dict[str, Any]]:
        """What Sentry was sent: the last line of each envelope."""
        return [json.loads(body.splitlines()[-1]) for body in self.bodies("/api/1/envelope/")]

    def spans(self) -> list[Span]:
        return [
            {
                "process": {each.key: each.value.string_value for each in of_process.resource.attributes},
                "name": span.name,
                "trace": span.trace_id,
                "id": span.span_id,
                "parent": span.parent_span_id,
                "failed": span.status.code == 2,
                "told": span.status.message,
                "attributes": {each.key: each.value.string_value for each in span.attributes},
                "events": [
                    (event.name, {each.key: each.value.string_value for each in event.attributes})
                    for event in span.events
                ],
            }
            for body in self.bodies("/v1/traces")
            for of_process in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans
            for of_library in of_process.scope_spans
            for span in of_library.spans
        ]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def system(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("telemetry")
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"ROOT_URLCONF": "tests.failing", "SEARCHED_URL": f"http://{receiver.address}/"}))
    environment = {
        "BADGES_CFG": str(file),
        "SENTRY_DSN": f"http://public@{receiver.address}/1",
        "SENTRY_RELEASE": "badges@7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "WORKER_CONCURRENCY": "1",
        "CREDLY_CONCURRENCY": "2",
        "WEB_CONCURRENCY": "1",
    }
    commands = parse_procfile((PROJECT / "Procfile").read_text()).processes
    database = PostgresServer(folder / "postgres")
    processes = ("consumer", "credly", "web")  # no beat: what it nudges is traced apart
    with System(folder, processes=processes, lms=False, environment=environment, database=database) as running:
        running.start_process("worker", f"{commands['worker']} -I tests.failing").wait_for_output("ready.")
        yield running


@pytest.fixture(scope="module")
def event(system: System) -> LmsEvent:
    """An event that went the whole way and earned a badge."""
    academy = Academy(system, key=KEY)
    academy.template([requirement("course", ("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE))])
    event = academy.passes(LEARNER, COURSE)
    academy.play_and_wait(event)
    return event


@pytest.fixture(scope="module")
def failures(system: System, event: LmsEvent) -> None:
    """A task and a request that failed with a learner's data in their hands."""
    system.manage("shell", "-c", f"from pipeline.celery import app; app.send_task('fail', args=['{MARK}-argument'])")
    answer = requests.post(
        f"http://127.0.0.1:{system.port}/failing/{LEARNER.username}/?email={LEARNER.email}",
        data={"name": LEARNER.name},
        headers={"Authorization": f"Bearer {KEY}", "Cookie": f"sessionid={MARK}"},
        timeout=20,
    )
    assert answer.status_code == 500


def runs_of(receiver: Receiver, event: LmsEvent) -> dict[str, Span]:
    """The runs of the stages in the event's trace, once all have arrived."""
    spans = receiver.spans()
    traces = {s["trace"] for s in spans if s["attributes"].get("badges.event") == str(event.id)}
    found = {s["name"]: s for s in spans if s["trace"] in traces and s["name"] in RUNS}
    return found if set(found) == set(RUNS) else {}


def ancestors(span: Span, spans: list[Span]) -> list[str]:
    by_id = {each["id"]: each for each in spans}
    names = []
    while span["parent"] in by_id:
        span = by_id[span["parent"]]
        names.append(span["name"])
    return names


@pytest.mark.system
def test_the_way_of_an_event_is_one_trace_through_all_stages_and_processes(receiver: Receiver, event: LmsEvent):
    runs = eventually(lambda: runs_of(receiver, event))
    assert len({span["trace"] for span in runs.values()}) == 1
    way = [
        *("send emit", "run issue", "send issue", "run persist"),
        *("send persist", "run evaluate", "send evaluate"),
    ]
    assert eventually(lambda: ancestors(runs["run emit"], receiver.spans()) == way)
    processes = [runs[name]["process"]["service.instance.id"] for name in RUNS]
    assert processes == ["worker.1", "worker.1", "credly.1", "worker.1"]


@pytest.mark.system
@pytest.mark.parametrize(
    ("run", "attribute", "value"),
    [
        ("run persist", "db.system.name", "postgresql"),
        ("run issue", "http.request.method", "POST"),
        ("run emit", "db.system.name", "redis"),
    ],
)
def test_calls_to_servers_are_below_the_run_they_belong_to(
    receiver: Receiver, event: LmsEvent, run: str, attribute: str, value: str
):
    def told() -> bool:
        spans = receiver.spans()
        return any(s["attributes"].get(attribute) == value and run in ancestors(s, spans) for s in spans)

    assert eventually(told)


@pytest.mark.system
def test_polling_is_not_traced(receiver: Receiver, event: LmsEvent):
    eventually(lambda: runs_of(receiver, event))
    first = {span["name"].split()[0] for span in receiver.spans() if not span["parent"]}
    assert first <= {"send", "run", "GET", "POST"}


@pytest.mark.system
@pytest.mark.usefixtures("failures")
def test_a_run_and_a_request_that_fail_tell_the_kind_of_error_alone(receiver: Receiver):
    def failed() -> list[Span]:
        names = ("run fail", "POST failing/<str:name>/")
        found = [span for span in receiver.spans() if span["name"] in names]
        return found if len(found) == len(names) else []

    for span in eventually(failed):
        assert (span["failed"], span["told"]) == (True, "")
        assert ("exception", {"exception.type": "RuntimeError"}) in span["events"], span


@pytest.mark.system
@pytest.mark.usefixtures("failures")
def test_errors_are_reported_by_kind_and_place_with_what_they_are_about(receiver: Receiver):
    def reported() -> dict[str, dict[str, Any]]:
        found = {report["transaction"]: report for report in receiver.reports() if "exception" in report}
        return found if len(found) == 2 else {}

    found = eventually(reported)
    assert set(found) == {"fail", "/failing/{name}/"}
    for report in found.values():
        assert [error["type"] for error in report["exception"]["values"]] == ["ValueError", "RuntimeError"]
        frame = report["exception"]["values"][-1]["stacktrace"]["frames"][-1]
        assert (frame["function"], "raise RuntimeError" in frame["context_line"]) == ("fail_with_personal_data", True)
        assert (report["release"], report["environment"]) == ("badges@7", "production")
    assert found["fail"]["tags"]["stage"] == "fail"


@pytest.mark.system
@pytest.mark.usefixtures("failures")
def test_what_is_logged_as_an_error_is_reported_as_it_stands_in_the_code(receiver: Receiver):
    def reported() -> list[Any]:
        return [report["logentry"] for report in receiver.reports() if report.get("logger") == "tests.failing"]

    assert eventually(reported)[0] == {"message": "Look at %s"}


@pytest.mark.system
@pytest.mark.usefixtures("failures")
def test_neither_reports_nor_traces_name_a_learner_or_quote_a_key(receiver: Receiver, system: System):
    eventually(lambda: sum("exception" in report for report in receiver.reports()) == 2)
    searches = eventually(
        lambda: [s for s in receiver.spans() if receiver.address in s["attributes"].get("url.full", "")]
    )
    assert {search["attributes"]["url.full"] for search in searches} == {f"http://{receiver.address}/"}
    assert eventually(lambda: [s for s in receiver.spans() if s["name"] == "SET"])
    assert LEARNER.email in system.manage(
        "shell", "-c", "from tests.failing import *; print(Learner.objects.get().email)"
    )
    assert [body for _, body in receiver.received if MARK.encode() in body.lower()] == []


def run(python: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DEBUG": "true", **variables}
    return subprocess.run(
        [python, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("variables", "imported"),
    [
        ({}, []),
        ({"SENTRY_DSN": "http://public@127.0.0.1:9/1"}, ["sentry_sdk"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, ["opentelemetry.instrumentation"]),
    ],
)
def test_what_no_setting_asks_for_is_not_imported(variables: dict[str, str], imported: list[str]):
    # redis-py imports a part of opentelemetry by itself wherever that is installed.
    looked_for = ["sentry_sdk", "opentelemetry.instrumentation"]
    code = f"import pipeline.wsgi, pipeline.celery, sys; print([m for m in {looked_for} if m in sys.modules])"
    done = run(sys.executable, "-c", code, DJANGO_SETTINGS_MODULE="pipeline.settings", **variables)
    assert (done.stdout, done.returncode) == (f"{imported}\n", 0), done.stderr


@pytest.fixture
def without_optional_packages(tmp_path: Path) -> str:
    """A folder with all packages that are installed but those."""
    for package in Path(pytest.__file__).parent.parent.iterdir():
        if not package.name.startswith(("sentry_sdk", "opentelemetry")):
            (tmp_path / package.name).symlink_to(package)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("setting", "file"),
    [("SENTRY_DSN", "requirements-sentry.txt"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "requirements-otel.txt")],
)
def test_a_process_that_lacks_the_packages_refuses_to_start_in_one_line(
    without_optional_packages: str, setting: str, file: str
):
    python = sys._base_executable  # type: ignore[attr-defined]
    variables = {"PYTHONPATH": without_optional_packages}
    assert run(python, "manage.py", "settings_reference", **variables).returncode == 0
    done = run(python, "manage.py", "settings_reference", **variables, **{setting: "https://key@example.org/1"})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in ("Configuration error", setting, file))
