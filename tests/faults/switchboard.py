"""Files in one folder, through which a test reaches its processes while they run.

The folder is named by the environment variable `FAULTS_FOLDER`; a process without it can't be broken.
"""

import os
from pathlib import Path

VARIABLE = "FAULTS_FOLDER"


def folder() -> Path:
    """The folder of this process."""
    return Path(os.environ[VARIABLE])


def is_first(mark: Path) -> bool:
    """Make the file `mark`; says whether nobody of all processes did so before."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def write(file: Path, text: str) -> None:
    """Write a file so that nobody reads half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.{os.getpid()}")
    half.write_text(text)
    half.rename(file)
