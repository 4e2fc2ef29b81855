"""Logs of the running system: JSON objects, and the id of an event in every line about it, in every process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from pipeline.embedded.system import System
from pipeline.lms.events import LmsEvent
from tests.databases import server_of_run
from tests.system.academy import Academy, learner, requirement
from tests.system.conditions import eventually

COURSE = "course-v1:Logs+Logs+2026"
PROCESSES = ("consumer", "worker", "credly", "beat")
GUNICORN = ["gunicorn", "pipeline.wsgi", "--config", "pipeline/gunicornconfig.py", "--no-control-socket"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("logs")
    with System(folder, processes=PROCESSES, lms=False, database=server_of_run(folder / "database")) as running:
        running.start_process("web", [*GUNICORN, "--bind", f"127.0.0.1:{running.port}"]).wait_for_output(
            "Booting worker"
        )
        yield running


@pytest.fixture(scope="module")
def template(system: System) -> Academy:
    academy = Academy(system)
    academy.template([requirement("course", ("is_passing", "eq", "true"), ("course.course_key", "eq", COURSE))])
    return academy


def lines(system: System, process: str) -> list[dict[str, Any]]:
    """The lines of a process that are JSON; what Celery prints before it begins is not."""
    texts = system.processes[process].output().splitlines()
    return [json.loads(text) for text in texts if text.startswith("{")]


def about(system: System, process: str, event: LmsEvent) -> list[dict[str, Any]]:
    wanted = str(event.id)
    return [line for line in lines(system, process) if line.get("event") == wanted or wanted in line.get("events", [])]


def test_one_id_leads_through_every_stage_and_process(system: System, template: Academy):
    event, another = (template.passes(learner(), COURSE) for _ in range(2))
    template.play(another)
    template.play_and_wait(event)
    stages = {"worker": ["evaluate", "persist", "emit"], "credly": ["issue"]}
    assert about(system, "consumer", event)
    for process, names in stages.items():
        found = eventually(lambda p=process, n=names: _at_all(about(system, p, event), n))
        assert {line["process"] for line in found} == {f"{process}.1"}
        assert not [line for line in found if line.get("event") == str(another.id)]
    [issued] = [line for line in about(system, "credly", event) if "succeeded" in line["message"]]
    [emitted] = [
        line for line in about(system, "worker", event) if line["stage"] == "emit" and "succeeded" in line["message"]
    ]
    assert issued["badge"] == emitted["badge"]
    assert emitted["signal"]


def test_one_id_leads_on_where_a_stage_had_to_be_tried_again(system: System, template: Academy):
    event = template.passes(learner(), COURSE)
    system.credly("POST", "faults", {"preset": "503", "times": 1, "match": {"method": "POST"}})
    template.play_and_wait(event)
    issued = eventually(lambda: _ended(about(system, "credly", event), "issue", 2))
    assert len({line["task"] for line in issued}) == 2
    [emitted] = eventually(lambda: _ended(about(system, "worker", event), "emit", 1))
    assert {emitted["badge"]} == {line["badge"] for line in issued}


def test_of_what_shares_a_message_each_event_is_named_at_every_stage(system: System, template: Academy):
    system.processes["consumer"].stop()
    events = [template.passes(learner(), COURSE) for _ in range(20)]
    template.play(*events)
    system.processes["consumer"].start()
    system.wait_until_idle()
    for event in events:
        assert {"issue"} <= {line["stage"] for line in about(system, "credly", event)}
        eventually(lambda e=event: {"evaluate", "persist", "emit"} <= _stages(about(system, "worker", e)))


def _stages(found: list[dict[str, Any]]) -> set[str]:
    return {line["stage"] for line in found}


def _ended(found: list[dict[str, Any]], stage: str, times: int) -> list[dict[str, Any]]:
    ends = [line for line in found if line["stage"] == stage and "succeeded" in line["message"]]
    return ends if len(ends) == times else []


def _at_all(found: list[dict[str, Any]], stages: list[str]) -> list[dict[str, Any]]:
    done = {line["stage"] for line in found if "succeeded" in line["message"]}
    return found if done >= set(stages) else []


def test_each_event_of_a_batch_is_named(system: System, template: Academy):
    system.processes["consumer"].stop()
    events = [template.fails(learner(), COURSE) for _ in range(250)]
    template.play(*events)
    system.processes["consumer"].start()
    system.wait_until_idle()
    assert all(about(system, "consumer", event) for event in events)
    assert all(about(system, "worker", event) for event in events)
    longest = max(len(text) for text in system.processes["consumer"].output().splitlines())
    assert longest < 10_000


def test_every_line_of_the_web_process_is_json_also_gunicorns_own_and_those_of_errors(system: System):
    requests.get(f"http://127.0.0.1:{system.port}/no/such/page", timeout=20)
    web = system.processes["web"]
    web.wait_for_output("Not Found")
    assert [json.loads(text) for text in web.output().splitlines()]
    assert {"gunicorn.error", "django.request"} <= {line["logger"] for line in lines(system, "web")}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_line_after_the_start_says_when_how_bad_who_and_what(system: System, process: str):
    found = lines(system, process)
    assert found
    for line in found:
        assert {"time", "level", "logger", "message", "process", "pid"} <= set(line)
    after = system.processes[process].output().partition("\n{")[2].splitlines()[1:]
    assert [text for text in after if not text.startswith("{")] == []
