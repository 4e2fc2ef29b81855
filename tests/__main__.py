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

from tests.databases import SERVERS, VARIABLE


@contextmanager
def database(name: str) -> Iterator[dict[str, str]]:
    """The variables that name the database of the run."""
    make = SERVERS[name]
    if make is None:
        yield {VARIABLE: name}
        return
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with make(Path(folder) / name) as server:
            yield {"DATABASE_URL": server.url, VARIABLE: name}


def main(name: str, *arguments: str) -> int:
    """The exit status of pytest."""
    with database(name) as variables:
        return subprocess.call([sys.executable, "-m", "pytest", *arguments], env={**os.environ, **variables})


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in SERVERS:
        sys.exit(f"usage: python -m tests {'|'.join(SERVERS)} [arguments of pytest]")
    sys.exit(main(*sys.argv[1:]))
