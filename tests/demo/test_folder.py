import os
from datetime import UTC, datetime
from pathlib import Path

from pipeline.demo.folder import KEPT, new_folder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NO_PROCESS = 2**22 + 1  # above the kernel's greatest process id


def _leave_runs(var: Path, count: int) -> list[Path]:
    folders = [var / f"demo-2025010{number}-000000-{NO_PROCESS}" for number in range(1, count + 1)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "db.sqlite3").touch()
    return folders


def test_the_last_few_runs_are_kept(tmp_path: Path) -> None:
    earlier = _leave_runs(tmp_path, KEPT + 2)
    made = new_folder(tmp_path, NOW)
    assert sorted(tmp_path.iterdir()) == [*earlier[-KEPT:], made]


def test_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    going_on = tmp_path / f"demo-20240101-000000-{os.getppid()}"
    going_on.mkdir()
    _leave_runs(tmp_path, KEPT + 1)
    new_folder(tmp_path, NOW)
    assert going_on.exists()


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").touch()
    (tmp_path / "other").mkdir()
    _leave_runs(tmp_path, KEPT + 1)
    new_folder(tmp_path, NOW)
    assert (tmp_path / "db.sqlite3").exists()
    assert (tmp_path / "other").exists()
