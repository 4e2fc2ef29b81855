"""Run the suite on a database: `python -m tests mysql -n auto --dist loadfile`; `make test DB=mysql` is the short form.

PostgreSQL and MySQL are servers of our own, started for the run; each process of pytest-xdist has a database of its own there.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.embedded.mysql import MySqlServer
from pipeline.embedded.postgres import PostgresServer

SERVERS = {
    "sqlite": None,
    "postgres": lambda folder: PostgresServer(folder, "-c", "max_connections=500"),
    "mysql": lambda folder: MySqlServer(folder, "--max-connections=500"),
}


@contextmanager
def database(name: str) -> Iterator[dict[str, str]]:
    """The variables that name the database of the run."""
    start = SERVERS[name]
    if start is None:
        yield {}
        return
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with start(Path(folder) / name) as server:
            yield {"DATABASE_URL": server.url, "TEST_DATABASE": name}


def main(name: str, *arguments: str) -> int:
    """The exit status of pytest."""
    with database(name) as variables:
        return subprocess.call([sys.executable, "-m", "pytest", *arguments], env={**os.environ, **variables})


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in SERVERS:
        sys.exit(f"usage: python -m tests {'|'.join(SERVERS)} [arguments of pytest]")
    sys.exit(main(*sys.argv[1:]))
