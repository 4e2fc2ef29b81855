"""MySQL over TLS: what `ssl_mode` in `DATABASE_URL` demands holds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.embedded.mysql import MySqlNotFound, MySqlServer, executable
from tests.tls.certificates import Certificates, make_certificates

PROJECT = Path(__file__).resolve().parents[2]
Ask = Callable[[str], subprocess.CompletedProcess[str]]

pytest.importorskip("MySQLdb", reason="mysqlclient is not installed (requirements-mysql.txt)")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[MySqlServer]:
    """One that speaks TLS.  Under root its program is the user nobody's."""
    try:
        executable()
    except MySqlNotFound as missing:
        pytest.skip(str(missing))
    key = certificates.key.with_name("mysql.key")
    shutil.copyfile(certificates.key, key)
    if os.geteuid() == 0:
        os.chown(key, 65534, 65534)
    options = (f"--ssl-ca={certificates.authority}", f"--ssl-cert={certificates.server}", f"--ssl-key={key}")
    with MySqlServer(tmp_path_factory.mktemp("mysql"), *options) as running:
        yield running


ASK = """
import django
django.setup()
from django.db import connection
cursor = connection.cursor()
cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
print(bool(cursor.fetchone()[1]))
cursor.execute("SELECT @@innodb_lock_wait_timeout")
print(cursor.fetchone()[0])
"""


@pytest.fixture
def ask(server: MySqlServer) -> Ask:
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


def test_the_server_speaks_both(ask: Ask):
    assert ask("ssl_mode=DISABLED").stdout.split() == ["False", "6"]
    assert ask("ssl_mode=REQUIRED").stdout.split() == ["True", "6"]


def test_a_server_whose_authority_is_named_is_trusted(ask: Ask, certificates: Certificates):
    asked = ask(f"ssl_mode=VERIFY_IDENTITY&ssl-ca={certificates.authority}")
    assert asked.stdout.split() == ["True", "6"]


def test_a_server_that_another_authority_signed_gets_no_word(ask: Ask, tmp_path: Path):
    asked = ask(f"ssl_mode=VERIFY_IDENTITY&ssl-ca={make_certificates(tmp_path).authority}")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "certificate" in asked.stderr
