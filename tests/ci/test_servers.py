"""`.ci/install` and `.ci/run`: a server that could be had and is not fails CI; one that can't be had is told of in the end."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"
NEEDED = ("bash", "env", "dirname", "true", "tee", "chmod", "rm", "echo")
NOT_TO_BE_HAD = 3

Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All programs of a machine, which lets its user do anything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(str(shutil.which(name)))
    program(folder / "id", "echo 1000")
    program(
        folder / "sudo", 'case "$2" in tee) while read -r _; do :; done ;; chmod | rm) ;; *) shift; exec "$@" ;; esac'
    )
    return folder


def program(file: Path, does: str) -> None:
    file.write_text(f"#!/bin/sh\n{does}\n")
    file.chmod(0o755)


def run(script: Path, programs: Path) -> Ran:
    given = {"PATH": str(programs), "RABBITMQ_BIN": str(programs)}
    return subprocess.run([script], env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("apt_get", "ends_with"),
    [
        ("exit 0", 0),
        ('test "$1" != install', 1),
        ("exit 100", NOT_TO_BE_HAD),
        ('test "$1" != update', 0),
        (None, NOT_TO_BE_HAD),
    ],
    ids=["installed", "failed", "index out of reach", "index out of reach but the package there", "no apt-get"],
)
def test_what_fails_to_install_is_told_apart_from_what_can_not_be_had(
    programs: Path, apt_get: str | None, ends_with: int
):
    if apt_get:
        program(programs / "apt-get", apt_get)
    assert run(CI / "install", programs).returncode == ends_with


def test_without_rights_nothing_can_be_had(programs: Path):
    program(programs / "apt-get", "exit 0")
    program(programs / "sudo", "exit 1")
    assert run(CI / "install", programs).returncode == NOT_TO_BE_HAD


def test_a_package_that_brought_no_server_fails(programs: Path):
    program(programs / "apt-get", "exit 0")
    assert run(CI / "rabbitmq", programs).returncode == 1
    for name in ("rabbitmq-server", "epmd"):
        program(programs / name, "")
    assert run(CI / "rabbitmq", programs).returncode == 0


@pytest.fixture
def run_ci(tmp_path: Path, programs: Path) -> Callable[..., Ran]:
    def run_ci(**ends_with: int) -> Ran:
        """All of CI, with steps that do nothing but end with this, or well."""
        (tmp_path / ".ci").mkdir()
        shutil.copy(CI / "run", tmp_path / ".ci")
        for script in CI.iterdir():
            if script.name != "run":
                program(tmp_path / ".ci" / script.name, f"exit {ends_with.get(script.name, 0)}")
        program(programs / "make", 'echo "$@"')
        return run(tmp_path / ".ci" / "run", programs)

    return run_ci


def test_ci_with_every_server_runs_on_each_database_and_misses_nothing(run_ci: Callable[..., Ran]):
    ran = run_ci()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "test DB=mysql" in ran.stdout


def test_ci_without_those_that_can_not_be_had_passes_and_tells_in_the_end(run_ci: Callable[..., Ran]):
    ran = run_ci(rabbitmq=NOT_TO_BE_HAD, mariadb=NOT_TO_BE_HAD)
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        f"NOT RUN, for want of it: what needs {name}." for name in ("rabbitmq", "mariadb")
    ]
    assert "test DB=postgres" in ran.stdout
    assert "test DB=mysql" not in ran.stdout


@pytest.mark.parametrize("script", ["rabbitmq", "mariadb"])
def test_ci_fails_if_a_server_could_be_had_and_is_not(run_ci: Callable[..., Ran], script: str):
    ran = run_ci(**{script: 1})
    assert ran.returncode == 1
    assert "make test" not in ran.stdout
    assert f".ci/{script} failed" in ran.stderr
