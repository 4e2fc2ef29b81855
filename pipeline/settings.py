"""All Django settings.

Each is looked up in the environment, then in the YAML file that `BADGES_CFG` names, then in the defaults here (names and
defaults of the badges feature are those of the Open edX documentation, "Badges settings").
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url

from pipeline import brokers, logs
from pipeline.environment import REQUIRED, ConfigurationError, Environment, keys_by_organization
from pipeline.web import policy

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

BADGES_TOPIC = "learning-badges-lifecycle"

THIS_MACHINE = ["localhost", "127.0.0.1", "[::1]"]
"""Names by which nobody else can reach a site."""

LOCK_SECONDS = 6
"""How long a statement waits for a lock on PostgreSQL or MySQL; then the work is tried again later."""

CONNECT_SECONDS = 5
"""How long connecting to a database server may take: by themselves the drivers wait for minutes."""


BADGES_CONFIG_DEFAULTS: dict[str, Any] = {
    "events": [
        "org.openedx.learning.course.passing.status.updated.v1",
        "org.openedx.learning.ccx.course.passing.status.updated.v1",
        "org.openedx.learning.badge.awarded.v1",
        "org.openedx.learning.badge.revoked.v1",
    ],
    "credly": {
        "CREDLY_BASE_URL": "https://credly.com/",
        "CREDLY_API_BASE_URL": "https://api.credly.com/v1/",
        "CREDLY_SANDBOX_BASE_URL": "https://sandbox.credly.com/",
        "CREDLY_SANDBOX_API_BASE_URL": "https://sandbox-api.credly.com/v1/",
        "USE_SANDBOX": False,
        "ORGANIZATIONS": {},
    },
    "rules": {
        "ignored_keypaths": [
            "user.id",
            "user.is_active",
            "user.pii.username",
            "user.pii.email",
            "user.pii.name",
        ],
    },
}
CREDLY_URLS = (
    "CREDLY_BASE_URL",
    "CREDLY_API_BASE_URL",
    "CREDLY_SANDBOX_BASE_URL",
    "CREDLY_SANDBOX_API_BASE_URL",
)
PRODUCER_CONFIG_DEFAULTS: dict[str, Any] = {
    "org.openedx.learning.badge.awarded.v1": {BADGES_TOPIC: {"event_key_field": "badge.uuid", "enabled": True}},
    "org.openedx.learning.badge.revoked.v1": {BADGES_TOPIC: {"event_key_field": "badge.uuid", "enabled": True}},
}


def _database(environment: Environment) -> dict[str, Any]:
    """`DATABASE_URL` as Django's dictionary.

    SQLite gets a write-ahead log and immediate transactions: with anything less, several processes that write fail
    with "database is locked" whatever the timeout.  PostgreSQL and MySQL give up waiting for a lock well before a task has
    to end: a worker that ends while it waits leaves a connection behind that goes on waiting, and the next one another,
    until there are none left.  A server that does not answer is away after `CONNECT_SECONDS`.  MySQL is also told to refuse
    what does not fit, and not to shorten it.  The URL's own options come first.
    """
    url = environment.url(
        "DATABASE_URL",
        f"sqlite:///{VAR_DIR / 'db.sqlite3'}",
        ("sqlite", "postgres", "postgresql", "mysql"),
    )
    database: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    if database["ENGINE"] == "django.db.backends.mysql" and find_spec("MySQLdb") is None:
        raise ConfigurationError(
            "DATABASE_URL: mysqlclient is not installed; run: pip install -r requirements-mysql.txt"
        )
    if database["ENGINE"] == "django.db.backends.sqlite3":
        _make_folder_of(database["NAME"])
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
            **database.get("OPTIONS", {}),
        }
    if database["ENGINE"] == "django.db.backends.postgresql":
        database["OPTIONS"] = {
            "options": f"-c lock_timeout={LOCK_SECONDS}s",
            "connect_timeout": CONNECT_SECONDS,
            **database.get("OPTIONS", {}),
        }
    if database["ENGINE"] == "django.db.backends.mysql":
        database["ENGINE"] = "pipeline.mysql"
        database["OPTIONS"] = _mysql_options(database.get("OPTIONS", {}))
    return database


def _mysql_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a connection to MySQL or MariaDB: those of the URL, over what the pipeline relies on.

    A command of the URL runs after ours.
    """
    variables = {
        "sql_mode": "'TRADITIONAL'",
        "time_zone": "'+00:00'",
        "innodb_lock_wait_timeout": LOCK_SECONDS,
        "lock_wait_timeout": LOCK_SECONDS,  # for a table's definition
    }
    ours = f"SET {', '.join(f'SESSION {name} = {value}' for name, value in variables.items())}"
    return {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "connect_timeout": CONNECT_SECONDS,
        **given,
        "init_command": "; ".join(filter(None, (ours, given.get("init_command")))),
    }


def _make_folder_of(file: str) -> None:
    folder = Path(file).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"DATABASE_URL: can't make the folder {folder}: {error.strerror}") from None


def _badges_config(environment: Environment) -> dict[str, Any]:
    """`BADGES_CONFIG` of the file over the defaults, then the `CREDLY_*` variables over its `credly` part."""
    config = environment.mapping("BADGES_CONFIG", BADGES_CONFIG_DEFAULTS)
    for part in ("credly", "rules"):
        if not isinstance(config[part], dict):
            raise ConfigurationError(f"BADGES_CONFIG.{part}: {config[part]!r} is not allowed; it must be a mapping")
    credly = config["credly"]
    from_file = Environment({}, credly, "BADGES_CONFIG.credly")
    for key in CREDLY_URLS:
        default = from_file.url(key, BADGES_CONFIG_DEFAULTS["credly"][key], ("https", "http"), secret=False)
        credly[key] = environment.url(key, default, ("https", "http"), secret=False)
        if not credly[key].endswith("/"):
            credly[key] += "/"
    if not isinstance(credly["USE_SANDBOX"], bool):
        raise ConfigurationError(
            f"BADGES_CONFIG.credly.USE_SANDBOX: {credly['USE_SANDBOX']!r} is not allowed; it must be true or false"
        )
    credly["USE_SANDBOX"] = environment.boolean("CREDLY_USE_SANDBOX", credly["USE_SANDBOX"])
    try:
        keys = keys_by_organization(credly["ORGANIZATIONS"])
    except (ValueError, TypeError):
        raise ConfigurationError(
            "BADGES_CONFIG.credly.ORGANIZATIONS must be a mapping of organization UUID to API key"
        ) from None
    credly["ORGANIZATIONS"] = {**keys, **environment.keys_by_organization("CREDLY_ORGANIZATIONS")}
    for path, value in (("events", config["events"]), ("rules.ignored_keypaths", config["rules"]["ignored_keypaths"])):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigurationError(f"BADGES_CONFIG.{path}: {value!r} is not allowed; it must be a list of texts")
    return config


def _choice(environment: Environment, name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = environment.text(name, default)
    if value not in allowed:
        raise ConfigurationError(f"{name}: {value!r} is not allowed; it must be {' or '.join(allowed)}")
    return value


def _optional(environment: Environment, name: str, distribution: str, requirements: str) -> str:
    """A URL, empty unless it is set, that needs what the requirements file brings; one of its distributions is looked for."""
    value = environment.url(name, "", ("https", "http"))
    if value:
        try:
            version(distribution)
        except PackageNotFoundError:
            raise ConfigurationError(f"{name}: install {requirements}; {distribution} is not installed") from None
    return value


def _refuse_unless(read: Callable[[str], object], name: str, url: str) -> None:
    try:
        read(url)
    except ValueError as refusal:
        raise ConfigurationError(f"{name}: {refusal}") from None


def _with_verification(url: str, verify: bool) -> str:
    """A `rediss://` URL that says whether the server has to prove who it is; what it says itself stands."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs={'required' if verify else 'none'}"


_environment = Environment.load(os.environ)

DEBUG = _environment.boolean("DEBUG", False)
SECRET_KEY = _environment.text("SECRET_KEY", "insecure-key-for-debugging-only" if DEBUG else REQUIRED)
SECRET_KEY_FALLBACKS = _environment.words("SECRET_KEY_FALLBACKS", [], secret=True)
# The library that encrypts stored API keys derives its key from SECRET_KEY and this; it reads with the fallbacks too.
SALT_KEY = [
    _environment.text("SALT_KEY", "badges-pipeline"),
    *_environment.words("SALT_KEY_FALLBACKS", [], secret=True),
]
ALLOWED_HOSTS = _environment.words("ALLOWED_HOSTS", THIS_MACHINE)
CSRF_TRUSTED_ORIGINS = _environment.words("CSRF_TRUSTED_ORIGINS", [])

# A site that others can reach is served over HTTPS, by a proxy, unless it says otherwise (docs/decisions/0019-web-security.md).
HTTPS = _environment.boolean("HTTPS", not DEBUG and not set(ALLOWED_HOSTS) <= set(THIS_MACHINE))
# How many proxies stand before the web process and write the X-Forwarded headers.
PROXIES = _environment.integer("PROXIES", 1 if HTTPS else 0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and PROXIES else None
SECURE_SSL_REDIRECT = HTTPS
# Probes and scrapers call the process itself; a webhook that is redirected would arrive without its body.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$", r"^badges/credly/webhook/"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# What else lives below our name is not ours to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# MySQL has no index for some rows only: there those of what is due hold all rows, and serve as well.
SILENCED_SYSTEM_CHECKS += ["models.W037"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": policy.PAGES}

DATABASES = {"default": _database(_environment)}

_REDIS = ("redis", "rediss", "unix")
REDIS_URL = _environment.url("REDIS_URL", "redis://localhost:6379/0", _REDIS)
CELERY_BROKER_URL = _environment.url("CELERY_BROKER_URL", REDIS_URL, (*_REDIS, "amqp", "amqps", "sentinel"))
_refuse_unless(brokers.read, "CELERY_BROKER_URL", CELERY_BROKER_URL)
EVENT_BUS_REDIS_CONNECTION_URL = _environment.url("EVENT_BUS_REDIS_CONNECTION_URL", REDIS_URL, _REDIS)
_refuse_unless(brokers.check_redis, "EVENT_BUS_REDIS_CONNECTION_URL", EVENT_BUS_REDIS_CONNECTION_URL)
# Where a URL says nothing itself.  The bus's library verifies unless it is told not to; the broker's has to be told.
REDIS_TLS_VERIFY = _environment.boolean("REDIS_TLS_VERIFY", True)
CELERY_BROKER_URL = _with_verification(CELERY_BROKER_URL, REDIS_TLS_VERIFY)
if not REDIS_TLS_VERIFY:
    EVENT_BUS_REDIS_CONNECTION_URL = _with_verification(EVENT_BUS_REDIS_CONNECTION_URL, REDIS_TLS_VERIFY)

EVENT_BUS_REDIS_STREAM_MAX_LEN = _environment.integer("EVENT_BUS_REDIS_STREAM_MAX_LEN", 10_000)
EVENT_BUS_TOPIC_PREFIX = _environment.text("EVENT_BUS_TOPIC_PREFIX", "")
# With brokers of Kafka the event bus is Kafka; the names are those of edx-event-bus-kafka.
EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = _environment.text("EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS", "")
EVENT_BUS_KAFKA_API_KEY = _environment.text("EVENT_BUS_KAFKA_API_KEY", "")
EVENT_BUS_KAFKA_API_SECRET = _environment.text("EVENT_BUS_KAFKA_API_SECRET", "")
EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = _environment.url("EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL", "", ("https", "http"))
EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY = _environment.text("EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY", "")
EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET = _environment.text("EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET", "")
_KAFKA = bool(EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS)
EVENT_BUS_PRODUCER = _environment.text(
    "EVENT_BUS_PRODUCER",
    "pipeline.bus.kafka.producer.create_producer" if _KAFKA else "pipeline.bus.producer.create_producer",
)
EVENT_BUS_CONSUMER = _environment.text(
    "EVENT_BUS_CONSUMER",
    "pipeline.stages.consume_kafka.KafkaInboxConsumer" if _KAFKA else "pipeline.stages.consume.InboxConsumer",
)
EVENT_BUS_PRODUCER_CONFIG = _environment.mapping("EVENT_BUS_PRODUCER_CONFIG", PRODUCER_CONFIG_DEFAULTS)
# The source of our signals: this service takes the place of Open edX's credentials service.
EVENTS_SERVICE_NAME = "credentials"

# How long events, webhooks and what became of them are kept; progress, badges and signals stay.
RETENTION_DAYS = _environment.integer("RETENTION_DAYS", 180, minimum=1)
# The last part of the webhook's path, when Credly is told one; without it any is taken, since each event is verified anyway.
CREDLY_WEBHOOK_SECRET = _environment.text("CREDLY_WEBHOOK_SECRET", "")

# What Prometheus shows as bearer token, and whether `/metrics` is open to everybody where there is none.
METRICS_TOKEN = _environment.text("METRICS_TOKEN", "")
METRICS_OPEN = _environment.boolean("METRICS_OPEN", DEBUG)

# Where errors and traces go; without these nothing of the kind is loaded.
SENTRY_DSN = _optional(_environment, "SENTRY_DSN", "sentry-sdk", "requirements-sentry.txt")
SENTRY_ENVIRONMENT = _environment.text("SENTRY_ENVIRONMENT", "production")
SENTRY_RELEASE = _environment.text("SENTRY_RELEASE", "")
OTEL_EXPORTER_OTLP_ENDPOINT = _optional(
    _environment, "OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry-exporter-otlp-proto-http", "requirements-otel.txt"
)
OTEL_SERVICE_NAME = _environment.text("OTEL_SERVICE_NAME", "badges-pipeline")

# Calls to Credly per second and organization over all processes, and at once per `credly` process; 0 is no limit of ours.
# Credly publishes none.
CREDLY_RATE_LIMIT = _environment.integer("CREDLY_RATE_LIMIT", 100)
CREDLY_CONCURRENCY_PER_ORGANIZATION = _environment.integer("CREDLY_CONCURRENCY_PER_ORGANIZATION", 0)

BADGES_ENABLED = _environment.boolean("BADGES_ENABLED", False)
BADGES_CONFIG = _badges_config(_environment)

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = "pipeline.formats"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "pipeline.urls"
WSGI_APPLICATION = "pipeline.wsgi.application"
INSTALLED_APPS = [
    # Before the admin whose templates it replaces.
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    # Before the events app: its command consume_events goes through ours.
    "pipeline.apps.PipelineConfig",
    "pipeline.bus.apps.EventsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Before whoever looks at the name in the Host header.
    "pipeline.web.probes.ProbesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "pipeline" / "web" / "templates", BASE_DIR / "pipeline" / "admin" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "pipeline" / "admin" / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns without it; collectstatic may fill it or not
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Badges",
    "SITE_HEADER": "Badges",
    "SITE_SYMBOL": "military_tech",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "pipeline.admin.theme.icon"}],
    "SITE_URL": None,
    "ENVIRONMENT": "pipeline.admin.theme.environment",
    "DASHBOARD_CALLBACK": "pipeline.admin.dashboard.dashboard",
    "LOGIN": {"form": "pipeline.web.login.LoginForm"},
    "STYLES": ["pipeline.admin.theme.style_sheet"],
    "SIDEBAR": {"navigation": "pipeline.admin.theme.navigation"},
}

# edx_django_utils looks for New Relic and warns unless told that there is no telemetry.
OPENEDX_TELEMETRY: list[str] = []
LOG_FORMAT = _choice(_environment, "LOG_FORMAT", "text" if DEBUG else "json", ("json", "text"))
LOG_LEVEL = _choice(_environment, "LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = logs.settings(LOG_FORMAT, LOG_LEVEL, debug=DEBUG)

LOOKED_UP = _environment.looked_up
"""Every setting above that the environment or the file may set; the settings reference is made of it."""

globals().update(_environment.others())
