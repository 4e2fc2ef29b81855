"""Where a run leaves its databases and logs: a folder of its own under `var/`, the last few of which are kept."""

import os
import shutil
from datetime import datetime
from pathlib import Path

KEPT = 3
"""Folders of earlier runs that are kept."""

PREFIX = "demo-"


def new_folder(var: Path, now: datetime) -> Path:
    """Make `var/demo-<time>-<process id>/`, and remove all but the last few of runs that have ended."""
    ended = sorted(folder for folder in var.glob(f"{PREFIX}*") if folder.is_dir() and not _is_running(folder))
    for folder in ended[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
    made = var / f"{PREFIX}{now:%Y%m%d-%H%M%S}-{os.getpid()}"
    made.mkdir(parents=True)
    return made


def _is_running(folder: Path) -> bool:
    """Whether the process named by the folder lives; one that took over its number only keeps the folder longer."""
    try:
        os.kill(int(folder.name.rpartition("-")[2]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
