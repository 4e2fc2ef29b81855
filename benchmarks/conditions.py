"""The machine and the versions that figures hold for."""

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from pipeline.embedded import postgres, redis

PACKAGES = ("celery", "kombu", "redis", "Django", "psycopg", "fastavro")


def conditions() -> dict[str, str]:
    """What stands above every table."""
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "load average before": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "Redis": _output([redis.executable(), "--version"]),
        "SQLite": f"{sqlite3.sqlite_version}, write-ahead log, synchronous=NORMAL",
        "PostgreSQL": f"{_output([str(postgres.programs() / 'postgres'), '--version'])}, fsync=on",
    }


def _commit() -> str:
    changed = _output(["git", "status", "--porcelain", "pipeline", "tasks", "celeryconfig.py", "Procfile"])
    return _output(["git", "rev-parse", "--short", "HEAD"]) + (" with changes" if changed else "")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
