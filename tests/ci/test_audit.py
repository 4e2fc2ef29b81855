"""`.ci/audit`: a known vulnerability fails; advisories that can't be had warn, and are not taken for good news."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["5.7.1"], "aliases": [], "description": "x"}
FLAWED = {"name": "celery", "version": "5.7.0", "vulns": [FLAW]}
CLEAN = {"name": "kombu", "version": "5.7.0", "vulns": []}
SKIPPED = {"name": "redis", "skip_reason": "Dependency not found on PyPI and could not be audited: redis (8.1.0)"}


@pytest.fixture
def audit(tmp_path: Path) -> Any:
    def audit(packages: list[dict[str, Any]] | None) -> subprocess.CompletedProcess[str]:
        """The script, with a pip-audit that knows this (None: it writes no report, as where nobody answers)."""
        program = tmp_path / "pip-audit"
        report = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open(sys.argv[sys.argv.index('--output') + 1], 'w').write({report!r})\nsys.exit(1)\n"
        )
        program.chmod(0o700)
        given = {"PATH": os.environ["PATH"], "AUDITOR": str(program)}
        return subprocess.run([ROOT / ".ci" / "audit"], env=given, capture_output=True, text=True, check=False)

    return audit


def test_a_known_vulnerability_fails_and_is_named(audit: Any):
    ran = audit([CLEAN, FLAWED])
    assert ran.returncode == 1
    assert "celery 5.7.0: PYSEC-2026-1, mended in 5.7.1" in ran.stdout
    assert ran.stderr == ""


def test_without_one_it_passes(audit: Any):
    ran = audit([CLEAN])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "requirements.txt: 1 packages audited." in ran.stdout


@pytest.mark.parametrize("packages", [None, [SKIPPED], [CLEAN, SKIPPED]], ids=["no answer", "none known", "some known"])
def test_what_could_not_be_asked_about_is_said(audit: Any, packages: Any):
    ran = audit(packages)
    assert ran.returncode == 0
    assert "WARNING: requirements.txt: no advisories" in ran.stderr
