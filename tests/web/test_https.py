"""How a site that others can reach is served: over HTTPS only, with cookies and headers that keep it so."""

import copy
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.test import Client

from pipeline.checks import check_encryption

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "/admin/login/"
SETTINGS = ("HTTPS", "PROXIES", "SECURE_PROXY_SSL_HEADER", "SESSION_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
IN_PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "badges.example.org",
    "CREDLY_WEBHOOK_SECRET": "a-secret",
    "METRICS_TOKEN": "a-token-that-is-long-enough",
}


def run(tmp_path: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(**variables: str) -> dict[str, Any]:
        """The settings of a process with these variables."""
        values = ", ".join(f"{name!r}: settings.{name}" for name in SETTINGS)
        code = f"import json; from pipeline import settings; print(json.dumps({{{values}}}))"
        ran = run(tmp_path, "-c", code, SECRET_KEY="x", **variables)
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    return read


def test_the_check_for_deployment_finds_nothing_with_what_production_needs(tmp_path: Path):
    ran = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **IN_PRODUCTION)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "no issues" in ran.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"HTTPS": "false"}, "security.W008"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"DEBUG": "true"}, "security.W018"),
        ({"CREDLY_WEBHOOK_SECRET": ""}, "badges.W006"),
        ({"CREDLY_API_BASE_URL": "http://credly.example.org/v1/"}, "badges.W008"),
        ({"REDIS_URL": "redis://redis.example.org:6379/0"}, "badges.W008"),
    ],
)
def test_the_check_for_deployment_finds_what_is_open(tmp_path: Path, change: dict[str, str], complaint: str):
    ran = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **(IN_PRODUCTION | change))
    assert ran.returncode == 1
    assert complaint in ran.stderr


@pytest.fixture
def unencrypted(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def unencrypted(name: str, url: str) -> bool:
        """Whether the check finds that this setting, and no other, sends in the clear."""
        if name == "DATABASE_URL":
            monkeypatch.setitem(settings.DATABASES, "default", dj_database_url.parse(url))
        elif name.startswith("CREDLY"):
            settings.BADGES_CONFIG = copy.deepcopy(settings.BADGES_CONFIG)
            settings.BADGES_CONFIG["credly"][name] = url
        else:
            setattr(settings, name, url)
        found = check_encryption(None)
        assert [message.msg.partition(":")[0] for message in found] == [name] * len(found)
        return bool(found)

    return unencrypted


SERVICES = {
    "CREDLY_API_BASE_URL": ["http://{}/v1/"],
    "CREDLY_SANDBOX_API_BASE_URL": ["http://{}/v1/"],
    "CELERY_BROKER_URL": [
        "redis://:secret@{}:6379/0",
        "amqp://me:secret@{}//",
        "amqp://localhost//;amqp://me:secret@{}//",
        "sentinel://{}:26379/0",
        "sentinel://localhost:26379/0;sentinel://{}:26379/0?master_name=badges",
    ],
    "EVENT_BUS_REDIS_CONNECTION_URL": ["redis://:secret@{}/0"],
    "DATABASE_URL": [
        "postgres://me:secret@{}/badges",
        "postgres://me:secret@{}/badges?sslmode=prefer",
        "mysql://me:secret@{}/badges",
        "mysql://me:secret@{}/badges?ssl_mode=PREFERRED",
        "mysql://me:secret@{}/badges?ssl-ca=/srv/authority.pem",
    ],
}


@pytest.mark.parametrize(("name", "url"), [(name, url) for name, urls in SERVICES.items() for url in urls])
def test_what_is_called_on_another_machine_without_tls_is_warned_of(unencrypted: Any, name: str, url: str):
    for elsewhere in ("there.example.org", "192.0.2.7", "[2001:db8::7]", "redis"):
        assert unencrypted(name, url.format(elsewhere)), elsewhere
    for here in ("localhost", "127.0.0.1", "127.8.8.8", "[::1]"):
        assert not unencrypted(name, url.format(here)), here


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("CREDLY_API_BASE_URL", "https://api.credly.com/v1/"),
        ("CELERY_BROKER_URL", "rediss://there.example.org/0"),
        ("CELERY_BROKER_URL", "amqps://there.example.org//"),
        ("EVENT_BUS_REDIS_CONNECTION_URL", "unix:///run/redis.sock"),
        ("DATABASE_URL", "postgres://there.example.org/badges?sslmode=verify-full"),
        ("DATABASE_URL", "mysql://there.example.org/badges?ssl_mode=VERIFY_IDENTITY&ssl-ca=/srv/authority.pem"),
        ("DATABASE_URL", "mysql://there.example.org/badges?ssl_mode=REQUIRED"),
        ("DATABASE_URL", "postgres://%2Frun%2Fpostgresql/badges"),
        ("DATABASE_URL", "sqlite:////srv/db.sqlite3"),
    ],
)
def test_what_is_encrypted_or_does_not_leave_this_machine_is_not_warned_of(unencrypted: Any, name: str, url: str):
    assert not unencrypted(name, url)


def test_where_the_host_gives_the_address_of_postgresql_its_own_variable_serves(
    unencrypted: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGSSLMODE", "require")
    assert not unencrypted("DATABASE_URL", "postgres://there.example.org/badges")


def test_a_site_with_a_name_of_its_own_is_served_over_https_by_one_proxy_unless_it_says_otherwise(read: Any):
    named = read(ALLOWED_HOSTS="localhost,badges.example.org")
    assert (named["HTTPS"], named["PROXIES"], named["SESSION_COOKIE_SECURE"]) == (True, 1, True)
    assert named["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert named["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    local = read()
    assert local == read(ALLOWED_HOSTS="127.0.0.1")
    assert (local["HTTPS"], local["PROXIES"], local["SECURE_HSTS_SECONDS"]) == (False, 0, 0)
    assert read(ALLOWED_HOSTS="badges.example.org", HTTPS="false") == local
    assert read(ALLOWED_HOSTS="badges.example.org", DEBUG="true") == local


def test_without_a_proxy_nobody_is_believed_to_have_come_over_https(read: Any):
    assert read(HTTPS="true", PROXIES="0")["SECURE_PROXY_SSL_HEADER"] is None
    assert read()["SECURE_PROXY_SSL_HEADER"] is None


@pytest.fixture
def reached(settings: Any) -> Client:
    """A stranger at a site in production."""
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 3600
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    return Client()


@pytest.mark.django_db
def test_pages_are_sent_to_https_and_those_who_come_without_a_page_to_see_are_answered(reached: Client):
    for path in ("/", LOGIN):
        answer = reached.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://testserver{path}")
    assert reached.get("/healthz").status_code == 200
    assert reached.get("/readyz").status_code in (200, 503)
    assert reached.post("/badges/credly/webhook/", b"", content_type="application/json").status_code in (400, 404)


@pytest.mark.django_db
def test_over_https_cookies_are_secure_and_the_browser_is_told_to_stay(reached: Client):
    answer = reached.get(LOGIN, headers={"x-forwarded-proto": "https"})
    assert answer.status_code == 200
    assert answer.cookies["csrftoken"]["secure"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=3600"


@pytest.mark.django_db
@pytest.mark.parametrize("path", [LOGIN, "/healthz", "/no/such/page"])
def test_every_answer_has_the_headers_that_bind_a_browser(client: Client, path: str):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_plain_page_may_load_nothing(client: Client):
    assert "script-src" not in client.get("/no/such/page").headers["Content-Security-Policy"]


@pytest.mark.django_db
def test_pages_run_no_script_that_stands_in_them(client: Client):
    policy = client.get(LOGIN).headers["Content-Security-Policy"]
    [scripts] = [directive for directive in policy.split("; ") if directive.startswith("script-src")]
    assert scripts == "script-src 'self' 'unsafe-eval'"
