"""The files of deploy/, as far as they can be checked without Docker and systemd: linters, schemas, and what they name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from honcho.environ import parse_procfile

from pipeline.embedded.system import PROJECT
from pipeline.reports.setting_meanings import PROCESSES

DEPLOY = PROJECT / "deploy"
PROCFILE = parse_procfile((PROJECT / "Procfile").read_text()).processes
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
PROGRAMS = Path(sys.executable).parent
INSTALLED = "/opt/badges-pipeline"
EXPOSURE = 2.0  # of 10; below it systemd-analyze says "OK"

GUARDING = ("SECRET_KEY", "CREDLY_WEBHOOK_SECRET", "METRICS_TOKEN", "FLOWER_BASIC_AUTH")

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_passes_hadolint():
    run(str(PROGRAMS / "hadolint"), str(DEPLOY / "Dockerfile"))


def test_what_the_dockerfile_copies_exists_and_is_not_ignored():
    copied = [
        source.removeprefix("./")
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
        for source in sources.split()
    ]
    let_in = re.findall(r"^!(.+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(let_in)
    assert [source for source in copied if not (PROJECT / source).exists()] == []


@pytest.mark.parametrize(
    ("extras", "lists"),
    [
        ("", ["requirements.txt"]),
        ("otel sentry", ["requirements.txt", "requirements-otel.txt", "requirements-sentry.txt"]),
        ("kafka mysql", ["requirements.txt", "requirements-kafka.txt", "requirements-mysql.txt"]),
    ],
)
def test_the_image_gets_the_extras_that_are_asked_for(tmp_path: Path, extras: str, lists: list[str]):
    """The step that installs, with a pip that only tells what it was asked for."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    [step] = re.findall(r"^RUN (.+ /venv/bin/pip install .+)$", text, re.MULTILINE)
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\necho "$@"\n')
    pip.chmod(0o700)
    asked = subprocess.run(
        ["sh", "-c", step.replace("/venv/bin/pip", str(pip))],
        env={"PATH": "/usr/bin:/bin", "EXTRAS": extras},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.findall(r"-r (\S+)", asked) == lists
    assert [name for name in lists if not (PROJECT / name).exists()] == []
    assert COMPOSE["x-process"]["build"]["args"] == {"EXTRAS": "${EXTRAS:-}"}


def test_the_image_has_what_the_driver_for_mysql_is_built_with_and_its_library_only_if_that_is_asked_for(
    tmp_path: Path,
):
    """The steps that install packages, with an apt-get that only tells what it was asked for."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    steps = [step.replace("/var/lib/apt", str(tmp_path)) for step in re.findall(r"^RUN (case .+)$", text, re.MULTILINE)]
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "$@"\n')
    apt.chmod(0o700)

    def asked(extras: str) -> list[set[str]]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EXTRAS": extras}
        told = [subprocess.check_output(["sh", "-c", step], env=environment, text=True) for step in steps]
        return [set(re.findall(r"gcc|libmariadb\S*", output)) for output in told]

    assert asked("sentry mysql") == [{"gcc", "libmariadb-dev"}, {"libmariadb3"}]
    assert asked("") == asked("mysqlite") == [set(), set()]


def test_the_image_and_heroku_have_the_same_python():
    version = (PROJECT / ".python-version").read_text().strip()
    assert set(re.findall(r"^FROM python:([\d.]+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)) == {version}


def test_the_image_does_not_run_as_root():
    users = re.findall(r"^USER (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert users
    assert int(users[-1]) > 0


def test_the_compose_file_fits_its_specification():
    run(str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))


def test_compose_runs_every_process_of_the_procfile_after_the_release():
    ours = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
    assert {name: service["environment"]["PROCESS"] for name, service in ours.items()} == {
        name: name for name in PROCFILE
    }
    waiting = {name for name, service in ours.items() if "release" in service["depends_on"]}
    assert waiting == set(PROCFILE) - {"release"}


def test_compose_publishes_the_ports_at_which_its_containers_listen_whatever_the_env_file_says():
    """What a service's `environment` says comes before its `env_file`."""
    for name, port in (("web", "PORT"), ("flower", "FLOWER_PORT")):
        service = COMPOSE["services"][name]
        [mapping] = service["ports"]
        assert service["environment"][port] == mapping.rpartition(":")[2]
        assert service["environment"][f"{name.upper()}_ADDRESS"] == "0.0.0.0"


def test_compose_keeps_the_bus_on_disk_and_never_evicts():
    command = COMPOSE["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {"--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction"}
    assert COMPOSE["services"]["redis"]["volumes"] == ["redis:/data"]


def test_no_file_of_deploy_holds_a_secret():
    """What is secret is a variable without a value, or required from outside."""
    example = dict(
        line.split("=", 1) for line in (DEPLOY / "env.example").read_text().splitlines() if re.match(r"[A-Z]", line)
    )
    assert {example[name] for name in (*GUARDING, "POSTGRES_PASSWORD")} == {""}
    assert set(re.findall(r"PASSWORD[^\s@]*", (DEPLOY / "compose.yaml").read_text())) == {
        "PASSWORD:?see",
        "PASSWORD:",
    }


def test_the_example_names_all_that_leads_to_a_broker_or_a_bus():
    named = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert named <= set(settings.LOOKED_UP) | set(PROCESSES.meanings) | {"POSTGRES_PASSWORD", "EXTRAS"}
    leading = {name for name in settings.LOOKED_UP if name.startswith("EVENT_BUS_KAFKA_")}
    assert leading | {"REDIS_URL", "CELERY_BROKER_URL", "EVENT_BUS_REDIS_CONNECTION_URL"} <= named


def test_the_guide_has_each_secret_set_that_guards_a_site():
    guide = (PROJECT / "docs" / "deployment" / "first-deployment.md").read_text()
    assert [name for name in GUARDING if not re.search(rf"^heroku config:set .*\b{name}=", guide, re.MULTILINE)] == []


def test_deploy_process_refuses_what_the_procfile_does_not_have():
    done = subprocess.run([DEPLOY / "process", "works"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (f"deploy/process: 'works' is not allowed; it must be one of {' '.join(PROCFILE)}\n")


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units as they are installed, one instance of each process; the project stands where it is here."""
    files = []
    for file in (DEPLOY / "systemd").iterdir():
        names = [file.name]
        if file.name.endswith("@.service"):
            names = [f"{file.name.removesuffix('.service')}{name}.1.service" for name in PROCFILE if name != "release"]
        for name in names:
            unit = tmp_path / name
            unit.write_text(file.read_text().replace(INSTALLED, str(PROJECT)))
            files.append(str(unit))
    return files


@needs_systemd
def test_the_systemd_units_are_valid(units: list[str]):
    assert run("systemd-analyze", "verify", "--man=no", *units) == ""


def test_the_target_wants_every_process_of_the_procfile():
    target = (DEPLOY / "systemd" / "badges.target").read_text()
    wanted = set(re.findall(r"badges@(\w+)\.1\.service", target))
    assert wanted == set(PROCFILE) - {"release"}


@needs_systemd
def test_the_services_may_do_little_besides_their_work(units: list[str]):
    for unit in units:
        if unit.endswith(".service"):
            report = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
            exposure = re.search(r"exposure level for \S+: ([\d.]+)", report)
            assert exposure, report
            assert float(exposure[1]) < EXPOSURE, report
