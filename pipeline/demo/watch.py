"""`python -m pipeline.demo.watch FILE`: keep the pipeline's status in a file, renewed several times a second.

A process of its own, because the status is read with the demo's settings and not with those that the demo was started
with; and one that stays, because starting Django takes a second.
"""

import json
import sys
import time
from pathlib import Path

import django

INTERVAL = 0.2
"""Seconds between two readings."""


def main(file: Path) -> None:
    """Write `{"began": Unix time, "status": ...}` to the file until SIGTERM.

    The file is replaced whole, so that nobody reads half of it.
    """
    django.setup()
    from pipeline.reports.status import pipeline_status

    new = file.with_suffix(".new")
    while True:
        began = time.time()
        new.write_text(json.dumps({"began": began, "status": pipeline_status()}))
        new.replace(file)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
