"""A task that kills the process that runs it.  Workers get it by `-I tests.tasks.poison`."""

import os
import signal
from pathlib import Path

from pipeline.celery import app


@app.task(name="poison")
def poison(runs: str) -> None:
    """Note the run in the file `runs`, and die."""
    with Path(runs).open("a") as file:
        file.write(f"{os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
