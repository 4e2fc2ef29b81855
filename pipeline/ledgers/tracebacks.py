"""Where in our own code a failure struck, to be kept with the row that caused it."""

import traceback
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = (_PROJECT / "pipeline", _PROJECT / "tasks")

MOST_FRAMES = 30
"""The innermost are kept: code that calls itself without end would fill a page with the same line."""


def own_frames(error: BaseException) -> str:
    """The frames of our own code that the exception passed, a line `file:line function` each, the innermost last.

    Neither values nor the exception's text, which may quote what a learner's event holds.
    """
    lines = [
        f"{Path(frame.f_code.co_filename).relative_to(_PROJECT)}:{line} {frame.f_code.co_qualname}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if any(Path(frame.f_code.co_filename).is_relative_to(folder) for folder in _OURS)
    ]
    return "\n".join(lines[-MOST_FRAMES:])
