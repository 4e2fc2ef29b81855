"""PostgreSQL is restored as docs/deployment/backup.md says, from a backup that is older than the last upgrade."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pipeline.embedded.postgres import PostgresServer, programs
from pipeline.embedded.system import PROJECT

PAGE = PROJECT / "docs" / "deployment" / "backup.md"
OLDER_TABLES = "0003"

Shell = Callable[[str], None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with PostgresServer(tmp_path / "postgres") as server:
        yield server.url


@pytest.fixture
def shell(database: str, tmp_path: Path) -> Shell:
    """Runs what an operator types, in a folder of their own; it must succeed line by line."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs()), os.defpath])
    environment = {"PATH": path, "DATABASE_URL": database, "DEBUG": "true", "PYTHONPATH": str(PROJECT)}
    folder = tmp_path / "operator"
    folder.mkdir()
    (folder / "manage.py").symlink_to(PROJECT / "manage.py")

    def run(lines: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def commands() -> tuple[str, str]:
    """The page's lines for making a backup, and for restoring it."""
    section = PAGE.read_text().partition("## PostgreSQL\n")[2].partition("\n## ")[0]
    make, restore, *_ = re.findall(r"^```\n(.+?)^```$", section, re.MULTILINE | re.DOTALL)
    return make, restore


def store(database: str, group: str) -> None:
    """Add a row to a table that is the same in both versions."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO pipeline_consumergroup (topic, \"group\") VALUES ('topic', %s)", [group])


def stored(database: str) -> list[str]:
    with psycopg.connect(database) as connection:
        return [group for (group,) in connection.execute('SELECT "group" FROM pipeline_consumergroup ORDER BY id')]


def test_a_backup_from_before_an_upgrade_is_restored_over_the_tables_of_after_it(database: str, shell: Shell):
    make, restore = commands()
    [file] = re.findall(r"badges-[\d-]+\.dump", restore)
    keep = f"rm -f {file}\n{make}\nmv badges-*.dump kept && mv kept {file}"
    migrate = "python manage.py migrate --no-input -v 0"

    shell(f"{migrate} pipeline {OLDER_TABLES}")
    store(database, "before")
    shell(keep)
    shell(migrate)
    store(database, "after")

    for _ in range(2):  # what was restored once can be restored again
        shell(restore)
        assert stored(database) == ["before"]
        shell("python manage.py migrate --check && python manage.py pipeline_status")
        shell(keep)
