"""The settings reference, docs/settings.md: all settings, as they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.embedded.system import PROJECT
from pipeline.environment import Lookup
from pipeline.reports import settings_reference
from pipeline.reports.setting_meanings import PROCESSES

PAGE = PROJECT / "docs" / "settings.md"
READ_DIRECTLY = re.compile(r'environ(?:\.get\(|\[)\s*"([A-Z_]+)"')
OF_TRIALS_AND_TESTS = {"embedded", "lms", "demo"}


def made_with(**variables: str) -> str:
    """The page as a process with this environment makes it."""
    done = subprocess.run(
        [sys.executable, "manage.py", "settings_reference"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_is_what_the_settings_say():
    assert PAGE.read_text() == made_with(DEBUG="true"), "run: manage.py settings_reference --output docs/settings.md"


def test_the_page_does_not_depend_on_the_environment_it_is_made_in(tmp_path: Path):
    file = tmp_path / "badges.yaml"
    file.write_text(
        "BADGES_CONFIG: {credly: {CREDLY_BASE_URL: 'https://other.example', USE_SANDBOX: true}, events: []}"
    )
    assert made_with(DEBUG="true") == made_with(
        SECRET_KEY="x" * 60,
        ALLOWED_HOSTS="badges.example.org",
        REDIS_URL="redis://elsewhere/3",
        DATABASE_URL=f"sqlite:///{tmp_path}/db",
        BADGES_CFG=str(file),
    )


def test_a_new_setting_without_a_meaning_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(settings.LOOKED_UP, "NEW_SETTING", Lookup(False, "true or false"))
    with pytest.raises(KeyError, match="NEW_SETTING"):
        settings_reference.page()


def test_variables_that_are_read_beside_the_settings_are_on_the_page_too():
    files = [file for file in (PROJECT / "pipeline").rglob("*.py") if not OF_TRIALS_AND_TESTS & set(file.parts)]
    read = {name for file in files for name in READ_DIRECTLY.findall(file.read_text())}
    assert read <= set(PROCESSES.meanings) | set(settings.LOOKED_UP)


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path):
    command = [sys.executable, "manage.py", "settings_reference", "--output", str(tmp_path / "no" / "settings.md")]
    environment = {"PATH": os.environ["PATH"], "DEBUG": "true"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"CommandError: Can't write .+: No such file or directory\n", done.stderr)
