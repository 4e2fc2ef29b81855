"""PostgreSQL over TLS: what `sslmode` in `DATABASE_URL` demands holds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.embedded.postgres import PostgresServer
from pipeline.settings import LOCK_SECONDS
from tests.tls.certificates import Certificates, make_certificates

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[PostgresServer]:
    """One that speaks TLS.  Its program must own its key, and under root it is the user nobody's."""
    key = certificates.key.with_name("postgres.key")
    shutil.copyfile(certificates.key, key)
    key.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(key, 65534, 65534)
    options = ("-c", "ssl=on", "-c", f"ssl_cert_file={certificates.server}", "-c", f"ssl_key_file={key}")
    with PostgresServer(tmp_path_factory.mktemp("postgres"), *options) as running:
        yield running


ASK = """
import django
django.setup()
from django.db import connection
cursor = connection.cursor()
cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
print(cursor.fetchone()[0])
cursor.execute("SHOW lock_timeout")
print(cursor.fetchone()[0])
"""


@pytest.fixture
def ask(server: PostgresServer) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """What a process of ours finds with this query of `DATABASE_URL`: whether its connection is encrypted."""

    def ask(query: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "x",
            "DJANGO_SETTINGS_MODULE": "pipeline.settings",
            "DATABASE_URL": f"{server.url}?{query}",
        }
        command = [sys.executable, "-c", ASK]
        return subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False)

    return ask


def test_the_server_speaks_both(ask: Callable[[str], subprocess.CompletedProcess[str]]):
    assert ask("sslmode=disable").stdout.split() == ["False", f"{LOCK_SECONDS}s"]
    assert ask("sslmode=require").stdout.split() == ["True", f"{LOCK_SECONDS}s"]


def test_a_server_whose_authority_is_named_is_trusted(
    ask: Callable[[str], subprocess.CompletedProcess[str]], certificates: Certificates
):
    asked = ask(f"sslmode=verify-full&sslrootcert={certificates.authority}")
    assert asked.stdout.split() == ["True", f"{LOCK_SECONDS}s"]


def test_a_server_that_another_authority_signed_gets_no_word(
    ask: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
):
    asked = ask(f"sslmode=verify-full&sslrootcert={make_certificates(tmp_path).authority}")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "certificate verify failed" in asked.stderr
