"""`.ci/promtool`: where the checker can't be had its tests skip on a developer's machine, and nothing is green in CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("bash", "env", "dirname", "mktemp", "rm", "chmod")


@pytest.fixture
def get(tmp_path: Path) -> Any:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in NEEDED:
        (programs / name).symlink_to(shutil.which(name))
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "promtool", tmp_path / ".ci")

    def get(**variables: str) -> subprocess.CompletedProcess[str]:
        """The script in a project and on a machine that have neither promtool nor apt."""
        given = {"PATH": str(programs), **variables}
        return subprocess.run([tmp_path / ".ci" / "promtool"], env=given, capture_output=True, text=True, check=False)

    return get


def test_without_promtool_ci_fails_and_says_what_to_do(get: Any):
    ran = get(CI="true")
    assert ran.returncode == 1
    assert "put promtool on PATH" in ran.stderr


def test_without_promtool_others_are_told_that_tests_will_skip(get: Any):
    ran = get()
    assert (ran.returncode, "the tests that need it will skip" in ran.stderr) == (0, True)


def test_a_promtool_that_is_there_is_good_enough(get: Any, tmp_path: Path):
    (tmp_path / "bin" / "promtool").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "promtool").chmod(0o700)
    ran = get(CI="true")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_in_ci_no_test_of_the_alerts_skips():
    """It fails there instead."""
    code = (
        "import django, shutil; django.setup(); shutil.which = lambda *_: None\n"
        "from tests.deploy.evaluating import needs_promtool; print(needs_promtool.args[0])"
    )
    for ci, skips in (("true", "False"), ("", "True")):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "CI": ci, "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "pipeline.settings"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == skips
