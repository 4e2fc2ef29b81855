"""`.ci/audit`: a known vulnerability fails, and so does an audit that can't work; advisories that can't be had warn."""

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
    def audit(
        packages: list[dict[str, Any]] | None, says: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The script, with a pip-audit that knows and says this (None: it writes no report)."""
        program = tmp_path / "pip-audit"
        report = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open(sys.argv[sys.argv.index('--output') + 1], 'w').write({report!r})\nsys.exit({says!r} or 1)\n"
        )
        program.chmod(0o700)
        given = {"PATH": os.environ["PATH"], "AUDITOR": str(program), **variables}
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


NOBODY = """Traceback (most recent call last):
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded"""
UNANSWERED = pytest.mark.parametrize(
    ("packages", "says"),
    [
        (None, NOBODY),
        (None, "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed"),
        ([SKIPPED], ""),
    ],
    ids=["nobody", "too slow", "none known"],
)


@UNANSWERED
def test_what_could_not_be_asked_about_is_said(audit: Any, packages: Any, says: str):
    ran = audit(packages, says)
    assert ran.returncode == 0
    assert "WARNING: requirements.txt: no advisories" in ran.stderr


@UNANSWERED
def test_where_an_audit_is_required_none_at_all_fails(audit: Any, packages: Any, says: str):
    ran = audit(packages, says, AUDIT_REQUIRED="1")
    assert ran.returncode == 1
    assert "ERROR: nothing was audited of requirements" in ran.stderr


def test_where_an_audit_is_required_a_package_that_nobody_knows_is_said_and_no_failure(audit: Any):
    ran = audit([CLEAN, SKIPPED], AUDIT_REQUIRED="1")
    assert ran.returncode == 0
    assert "WARNING: requirements.txt: no advisories to be had for 1 of its packages." in ran.stderr


@pytest.mark.parametrize("says", ["pip-audit: error: unrecognized arguments: --nonsense", ""])
def test_an_audit_that_ends_without_a_report_for_another_reason_fails_with_what_it_said(audit: Any, says: str):
    ran = audit(None, says)
    assert ran.returncode == 1
    assert ran.stderr.startswith("ERROR: requirements")
    assert says in ran.stderr
