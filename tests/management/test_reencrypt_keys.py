"""Changing SECRET_KEY and SALT_KEY: processes with different environments on one database, as in a rotation."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.embedded.system import PROJECT

ORGANIZATION = "7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02"
KEY = "the-key-at-credly"
KEYS_READ = (
    "import django, json; django.setup(); from pipeline.models import Organization; "
    "print(json.dumps(list(Organization.objects.values_list('api_key', flat=True))))"
)


class Site:
    """A database, and processes on it with these secrets."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def run(self, *arguments: str, **secrets: str) -> subprocess.CompletedProcess[str]:
        return self._python("manage.py", *arguments, **secrets)

    def keys(self, **secrets: str) -> list[str]:
        """The stored keys as a process with these secrets reads them."""
        read: list[str] = json.loads(self._python("-c", KEYS_READ, **secrets).stdout)
        return read

    def _python(self, *arguments: str, **secrets: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "DATABASE_URL": f"sqlite:///{self._database}",
                "DJANGO_SETTINGS_MODULE": "pipeline.settings",
                **secrets,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a key that was stored under the secrets "old" and "salt"."""
    folder = tmp_path_factory.mktemp("rotation")
    site = Site(folder / "db.sqlite3")
    site.run("migrate", "-v", "0", SECRET_KEY="old", SALT_KEY="salt")
    file = folder / "badges.yaml"
    file.write_text(json.dumps({"version": 1, "organizations": [{"uuid": ORGANIZATION, "api_key": KEY}]}))
    site.run("import_badges", str(file), SECRET_KEY="old", SALT_KEY="salt")
    return folder / "db.sqlite3"


@pytest.fixture
def site(database: Path, tmp_path: Path) -> Site:
    return Site(Path(shutil.copy(database, tmp_path)))


def test_without_the_old_secret_a_stored_key_cannot_be_read_and_the_command_names_its_organization(site: Site):
    [read] = site.keys(SECRET_KEY="new", SALT_KEY="salt")
    assert KEY not in read
    ran = site.run("reencrypt_keys", SECRET_KEY="new", SALT_KEY="salt")
    assert (ran.returncode, ran.stdout) == (1, "Encrypted anew: 0.\n")
    assert ran.stderr.startswith(f"{ORGANIZATION} ({ORGANIZATION}): its stored key can't be decrypted")
    assert site.keys(SECRET_KEY="old", SALT_KEY="salt") == [KEY], "what could not be read is as it was"


@pytest.mark.parametrize(
    ("rotation", "after"),
    [
        ({"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": "older, old", "SALT_KEY": "salt"}, ("new", "salt")),
        ({"SECRET_KEY": "old", "SALT_KEY": "pepper", "SALT_KEY_FALLBACKS": "salt"}, ("old", "pepper")),
    ],
    ids=["SECRET_KEY", "SALT_KEY"],
)
def test_a_rotated_key_is_read_meanwhile_and_needs_no_fallback_after_the_command(site: Site, rotation, after):
    secret, salt = after
    assert site.keys(**rotation) == [KEY]
    assert site.keys(SECRET_KEY=secret, SALT_KEY=salt) != [KEY]
    for _ in range(2):
        ran = site.run("reencrypt_keys", **rotation)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Encrypted anew: 1.\n", "")
    assert site.keys(SECRET_KEY=secret, SALT_KEY=salt) == [KEY]
    assert site.keys(SECRET_KEY="old", SALT_KEY="salt") != [KEY]


def test_a_list_of_fallbacks_that_is_none_is_refused_and_not_shown(site: Site, tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text("SECRET_KEY_FALLBACKS: {old: s3cret-value}")
    ran = site.run("reencrypt_keys", SECRET_KEY="new", BADGES_CFG=str(file))
    assert ran.returncode == 1
    assert ran.stderr.startswith("Configuration error: SECRET_KEY_FALLBACKS in ")
    assert "s3cret" not in ran.stderr
