"""The Credly emulator as a child process, for tests."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import requests

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Academy:
    """An organization at the emulated Credly, with a key and one active template."""

    api: str
    organization: str
    key: str
    template: str

    def call(self, method: str, path: str = "", **options: Any) -> requests.Response:
        options = {"auth": (self.key, ""), "timeout": 20} | options
        return requests.request(method, f"{self.api}/organizations/{self.organization}{path}", **options)

    def form(self, **changes: Any) -> dict[str, Any]:
        return {
            "recipient_email": "dana@learners.example",
            "issued_to_first_name": "Dana",
            "issued_to_last_name": "Moe",
            "badge_template_id": self.template,
            "issued_at": "2026-02-03 09:15:00 +0100",
            "issuer_earner_id": "4711",
        } | changes

    def issue(self, **changes: Any) -> requests.Response:
        return self.call("POST", "/badges", json=self.form(**changes))

    def issued(self, **changes: Any) -> dict[str, Any]:
        answer = self.issue(**changes)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]


class EmulatedCredly:
    """A running emulator: ``url`` is its root, ``api`` its ``/v1``."""

    def __init__(self, process: subprocess.Popen[str], announced: str) -> None:
        self.process = process
        self.url = re.search(r"http://[^/]+", announced)[0]
        self.api = f"{self.url}/v1"

    def control(self, method: str, path: str, given: Any = None, arguments: Any = None) -> dict[str, Any]:
        """A control call that has to succeed; its answer."""
        answer = self.ask(method, path, given, arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, method: str, path: str, given: Any = None, arguments: Any = None) -> requests.Response:
        """A control call whatever comes of it."""
        return requests.request(method, f"{self.url}/control/{path}", json=given, params=arguments, timeout=20)

    def fault(self, preset: str | None = None, **fields: Any) -> dict[str, Any]:
        return self.control("POST", "faults", fields | ({"preset": preset} if preset else {}))

    def switch(self, **switches: Any) -> None:
        self.control("PATCH", "switches", switches)

    def ledger(self, **wanted: str) -> list[dict[str, Any]]:
        return self.control("GET", "ledger", arguments=wanted)["badges"]

    def requests(self, **wanted: Any) -> list[dict[str, Any]]:
        return self.control("GET", "requests", arguments=wanted)["requests"]

    def academy(self, template: dict[str, Any] | None = None, **organization: Any) -> Academy:
        """A new organization with a key and a template."""
        organization_id, template_id, key = str(uuid4()), str(uuid4()), uuid4().hex
        template = {"id": template_id, "name": "Intro Course"} | (template or {})
        given = {"id": organization_id, "name": "Example Academy"} | organization
        self.control("POST", "organizations", given | {"tokens": [{"token": key}], "templates": [template]})
        return Academy(self.api, organization_id, key, template_id)


def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value of the condition; fails when none comes within 20 seconds."""
    deadline = monotonic() + 20
    while not (value := condition()):
        assert monotonic() < deadline, "the condition never came true"
    return value


@contextmanager
def running_emulator(*arguments: str) -> Iterator[EmulatedCredly]:
    """Start the emulator on a free port and stop it at the end."""
    command = [sys.executable, "-m", "pipeline.credly.emulator", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        yield EmulatedCredly(process, process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
