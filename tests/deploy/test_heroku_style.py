"""The Procfile on a host in Heroku's style: release first, then every process, with nothing but the documented variables."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml
from honcho.environ import parse_procfile
from redis import Redis

from pipeline.embedded.postgres import PostgresServer
from pipeline.embedded.process import ChildProcess
from pipeline.embedded.redis import RedisServer, free_port
from pipeline.embedded.system import PROJECT, TOPIC
from pipeline.lms.events import PASSING, LmsLearner, passing_event
from tests.credly.emulated_credly import Academy
from tests.system.conditions import eventually

pytestmark = pytest.mark.system

CONTRACT_SECONDS = 10
LISTENS = "0A"  # as the kernel writes it
HONCHO_TERMINATED = 128 + signal.SIGTERM
PROCESSES = ("web", "consumer", "worker", "credly", "beat", "flower")
COURSE = "course-v1:OpenedX+DemoX+Demo_Course"


@pytest.fixture
def variables(tmp_path: Path, academy: Academy) -> Iterator[dict[str, str]]:
    """The whole environment: the host's, and what docs/deployment/first-deployment.md has an operator set."""
    with PostgresServer(tmp_path / "postgres") as postgres, RedisServer(tmp_path / "redis") as redis:
        yield {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "PORT": str(free_port()),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "badges.example.org,localhost,127.0.0.1",
            "CSRF_TRUSTED_ORIGINS": "https://badges.example.org",
            "BADGES_ENABLED": "true",
            "CREDLY_WEBHOOK_SECRET": secrets.token_hex(32),
            "METRICS_TOKEN": secrets.token_hex(32),
            "CREDLY_API_BASE_URL": f"{academy.api}/",
            "CREDLY_ORGANIZATIONS": json.dumps({academy.organization: academy.key}),
            "FLOWER_BASIC_AUTH": f"admin:{secrets.token_urlsafe(12)}",
            "FLOWER_PORT": str(free_port()),
        }


@contextmanager
def honcho(variables: Mapping[str, str], folder: Path, procfile: Path = PROJECT / "Procfile") -> Iterator[ChildProcess]:
    """Every process but release, under honcho, which is told to end in the end."""
    program = str(Path(sys.executable).parent / "honcho")
    options = ["--no-colour", "-e", "/dev/null", "-d", str(PROJECT), "-f", str(procfile)]
    command = [program, *options, "start", *PROCESSES]
    process = ChildProcess("honcho", command, folder=PROJECT, log=folder / "honcho.log", environment=variables)
    process.start()
    try:
        yield process
    finally:
        if process.running:
            process.send(signal.SIGTERM)
            process.wait()


def run(line: str | list[str], variables: Mapping[str, str]) -> str:
    """Run a line of the Procfile or a command, as `heroku run` does; its standard output."""
    done = subprocess.run(
        line, shell=isinstance(line, str), cwd=PROJECT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def badge_file(folder: Path, academy: Academy) -> str:
    rules = [
        {"data_path": "is_passing", "operator": "eq", "value": "true"},
        {"data_path": "course.course_key", "operator": "eq", "value": COURSE},
    ]
    template = {
        "uuid": academy.template,
        "organization": academy.organization,
        "name": "Intro Course",
        "active": True,
        "requirements": [{"id": "demo-course", "event_type": PASSING, "rules": rules}],
    }
    file = folder / "badges.yaml"
    organization = {"uuid": academy.organization, "name": "Example Academy"}
    file.write_text(yaml.safe_dump({"version": 1, "organizations": [organization], "templates": [template]}))
    return str(file)


def event_file(folder: Path, learner: LmsLearner) -> str:
    event = passing_event(learner, COURSE, True, datetime.now(UTC))
    content = {"id": str(event.id), "time": event.time.isoformat(), "type": event.type, "payload": event.payload}
    file = folder / "events.jsonl"
    file.write_text(json.dumps(content))
    return str(file)


def ready(variables: Mapping[str, str]) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{variables['PORT']}/readyz", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_a_first_deployment_issues_a_badge_and_stops_in_time(
    variables: dict[str, str], academy: Academy, emulator, tmp_path: Path
):
    run(parse_procfile((PROJECT / "Procfile").read_text()).processes["release"], variables)
    manage = [sys.executable, "manage.py"]
    run([*manage, "import_badges", badge_file(tmp_path, academy)], variables)
    with honcho(variables, tmp_path) as host:
        eventually(lambda: ready(variables))
        host.wait_for_output("Visit me at")
        learner = LmsLearner(id=4711, username="dana", email="dana@learners.example", name="Dana Moe")
        run([*manage, "produce_events", "--file", event_file(tmp_path, learner)], variables)
        eventually(lambda: [badge["state"] for badge in emulator.ledger(template=academy.template)] == ["pending"])
        eventually(lambda: json.loads(run([*manage, "pipeline_status", "--json"], variables))["signals"]["sent"] == 1)

        assert groups(variables) == {"credentials_dev"}
        assert metrics(variables).status_code == 200

        host.send(signal.SIGTERM)
        assert host.wait(CONTRACT_SECONDS) == HONCHO_TERMINATED
    assert "SIGKILL" not in host.output()
    assert running_with(variables["SECRET_KEY"]) == []


@pytest.fixture
def under_systemd(variables: dict[str, str]) -> dict[str, str]:
    """What the unit says comes before, what its EnvironmentFile says after."""
    unit = (PROJECT / "deploy" / "systemd" / "badges@.service").read_text()
    said = dict(re.findall(r"(\w+_ADDRESS)=(\S+)", unit))
    return said | variables | {"EVENT_BUS_CONSUMER_GROUP": "badges_pipeline"}


def test_under_systemd_each_process_heeds_its_variables_and_ends_by_itself_and_well(
    under_systemd: dict[str, str], tmp_path: Path
):
    """By deploy/process, as in a container too.  In the test above honcho sees its shells end, not what they started."""
    variables = under_systemd
    run(["deploy/process", "release"], variables)
    procfile = tmp_path / "Procfile"
    procfile.write_text("".join(f"{name}: exec deploy/process {name}.1\n" for name in PROCESSES))
    with honcho(variables, tmp_path, procfile) as host:
        eventually(lambda: ready(variables))
        for words in ("reads", "beat: Starting", "Visit me at"):
            host.wait_for_output(words)
        eventually(lambda: host.output().count("ready.") == 2)
        assert len(running_with(variables["SECRET_KEY"])) > len(PROCESSES)
        assert groups(variables) == {"badges_pipeline"}
        assert listening(int(variables["PORT"])) == listening(int(variables["FLOWER_PORT"])) == {"127.0.0.1"}

        host.send(signal.SIGTERM)
        host.wait(CONTRACT_SECONDS)
    assert dict(re.findall(r"(\w+)\.1 stopped \(rc=(-?\d+)\)", host.output())) == dict.fromkeys(PROCESSES, "0")


def metrics(variables: Mapping[str, str]) -> requests.Response:
    """As Prometheus gets them."""
    shown = {"Host": "badges.example.org", "Authorization": f"Bearer {variables['METRICS_TOKEN']}"}
    return requests.get(f"http://127.0.0.1:{variables['PORT']}/metrics", headers=shown, timeout=20)


def groups(variables: Mapping[str, str]) -> set[str]:
    """The consumer groups that read the bus."""
    with Redis.from_url(variables["REDIS_URL"], decode_responses=True) as bus:
        return {group["name"] for group in bus.xinfo_groups(TOPIC)}


def listening(port: int) -> set[str]:
    """The addresses of this machine at which somebody listens on a port."""
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            address, _, its_port = line.split()[1].partition(":")
            if int(its_port, 16) == port and line.split()[3] == LISTENS:
                words = [
                    int(address[start : start + 8], 16).to_bytes(4, sys.byteorder)
                    for start in range(0, len(address), 8)
                ]
                found.add(socket.inet_ntop(family, b"".join(words)))
    return found


def running_with(secret: str) -> list[str]:
    """The command lines of processes whose environment has this text."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and secret.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def test_the_release_stops_a_deployment_whose_settings_are_wrong(variables: dict[str, str]):
    release = parse_procfile((PROJECT / "Procfile").read_text()).processes["release"]
    wrong = variables | {"EVENT_BUS_CONSUMER": "pipeline.no.such.consumer"}
    done = subprocess.run(release, shell=True, cwd=PROJECT, env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "badges.E003" in done.stderr
