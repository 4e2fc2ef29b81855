"""What each setting means, for the settings reference (`docs/settings.md`).

Names, defaults and what is allowed are read from the settings themselves; a test fails for one without a meaning here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """A setting in words.

    Args:
        text: what it means.
        default: the default in words, where it is no plain value or follows from another setting.
        allowed: what is allowed, where the settings can't say it.
    """

    text: str
    default: str = ""
    allowed: str = ""


@dataclass(frozen=True)
class Group:
    """Settings that belong together: a title, a sentence or two before the table, and the meanings by name."""

    title: str
    text: str
    meanings: dict[str, Meaning]


CREDLY_DEFAULT = "as in [`BADGES_CONFIG.credly`](#badges_config)"

SETTINGS = (
    Group(
        "The site",
        "Names and meaning as in Django, except `HTTPS` and `PROXIES`.",
        {
            "SECRET_KEY": Meaning(
                "signs sessions; stored API keys are encrypted with it", "none; required unless `DEBUG`"
            ),
            "SECRET_KEY_FALLBACKS": Meaning(
                "former values of `SECRET_KEY`: what they signed and encrypted can still be read "
                "([keys](deployment/keys.md)). One that holds a comma goes into the file"
            ),
            "SALT_KEY": Meaning("second input of the encryption of API keys"),
            "SALT_KEY_FALLBACKS": Meaning("former values of `SALT_KEY`"),
            "DEBUG": Meaning("pages with tracebacks, no required secrets; never in production"),
            "ALLOWED_HOSTS": Meaning("names under which the web process may be called"),
            "CSRF_TRUSTED_ORIGINS": Meaning("origins of the admin's forms, such as `https://badges.example.org`"),
            "HTTPS": Meaning(
                "others than this machine reach the site by HTTPS alone: redirects, secure cookies, HSTS",
                "`true` unless `DEBUG`, or unless `ALLOWED_HOSTS` names this machine alone",
            ),
            "PROXIES": Meaning(
                "how many proxies stand before the web process and write the `X-Forwarded` headers",
                "1 with `HTTPS`, else 0",
            ),
        },
    ),
    Group(
        "Database and Redis",
        "URLs may hold a password; it is never shown. `rediss:` is Redis over TLS.",
        {
            "DATABASE_URL": Meaning("the ledger ([database](operations.md#database))", "SQLite at `var/db.sqlite3`"),
            "REDIS_URL": Meaning("default of the next two"),
            "CELERY_BROKER_URL": Meaning(
                "nudges between processes; losing them loses nothing ([brokers](brokers.md))", "`REDIS_URL`"
            ),
            "EVENT_BUS_REDIS_CONNECTION_URL": Meaning("the event bus, shared with the LMS", "`REDIS_URL`"),
            "REDIS_TLS_VERIFY": Meaning(
                "whether the certificate of a `rediss:` server is verified, where its URL says nothing of it"
            ),
        },
    ),
    Group(
        "Event bus",
        "Names as in Open edX's event bus.",
        {
            "EVENT_BUS_TOPIC_PREFIX": Meaning(
                "the stream or topic is `<prefix>-learning-badges-lifecycle`; the LMS has the same"
            ),
            "EVENT_BUS_REDIS_STREAM_MAX_LEN": Meaning(
                "length above which our producer trims what every group has acknowledged"
            ),
            "EVENT_BUS_PRODUCER": Meaning(
                "who publishes signals", "this project's own, for the bus in use", allowed="a dotted path"
            ),
            "EVENT_BUS_CONSUMER": Meaning(
                "who reads events", "this project's own, for the bus in use", allowed="a dotted path"
            ),
            "EVENT_BUS_PRODUCER_CONFIG": Meaning(
                "where our two signals go ([below](#event_bus_producer_config))", "below", "a mapping (file only)"
            ),
        },
    ),
    Group(
        "Kafka",
        "Only where the event bus is [Kafka](kafka.md); the names are those of edx-event-bus-kafka. Keys and secrets are "
        "never shown.",
        {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": Meaning(
                "the brokers; with it the event bus is Kafka and no longer Redis", allowed="a comma list of `host:port`"
            ),
            "EVENT_BUS_KAFKA_API_KEY": Meaning("user name at the brokers (SASL/PLAIN over TLS); without it, no login"),
            "EVENT_BUS_KAFKA_API_SECRET": Meaning("the password that goes with it"),
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": Meaning(
                "the schema registry, the same as the LMS's", "none; required"
            ),
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY": Meaning(
                "user name at the schema registry; without it, no login"
            ),
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET": Meaning("the password that goes with it"),
        },
    ),
    Group(
        "Badges and Credly",
        "The `CREDLY_…` addresses and `CREDLY_USE_SANDBOX` come before the same keys of `BADGES_CONFIG.credly`.",
        {
            "BADGES_ENABLED": Meaning(
                "the feature switch; while it is off, consumer, workers and beat refuse to start"
            ),
            "BADGES_CONFIG": Meaning(
                "the settings of Open edX's badges feature ([below](#badges_config))", "below", "a mapping (file only)"
            ),
            "CREDLY_USE_SANDBOX": Meaning("Credly's sandbox instead of production", CREDLY_DEFAULT),
            "CREDLY_BASE_URL": Meaning("Credly's site, for links", CREDLY_DEFAULT),
            "CREDLY_API_BASE_URL": Meaning("Credly's API", CREDLY_DEFAULT),
            "CREDLY_SANDBOX_BASE_URL": Meaning("the sandbox's site, for links", CREDLY_DEFAULT),
            "CREDLY_SANDBOX_API_BASE_URL": Meaning("the sandbox's API", CREDLY_DEFAULT),
            "CREDLY_ORGANIZATIONS": Meaning("API keys that never touch the database"),
            "CREDLY_WEBHOOK_SECRET": Meaning(
                "last part of the webhook's path ([webhooks](webhooks.md)); without it any is taken"
            ),
            "CREDLY_RATE_LIMIT": Meaning(
                "calls to Credly per second and organization over all processes; 0 is no limit of ours"
            ),
            "CREDLY_CONCURRENCY_PER_ORGANIZATION": Meaning(
                "badges and webhooks of one organization that a `credly` process works on at once; 0 leaves it to "
                "`CREDLY_CONCURRENCY`"
            ),
            "RETENTION_DAYS": Meaning("how long events and webhooks are kept ([privacy](privacy.md))"),
        },
    ),
    Group(
        "Watching",
        "See [monitoring](monitoring.md), [logs](operations.md#logs-and-privacy) and [telemetry](telemetry.md).",
        {
            "METRICS_TOKEN": Meaning(
                "what Prometheus shows as bearer token at `/metrics`; without it that is closed, but for the next setting"
            ),
            "METRICS_OPEN": Meaning(
                "whether `/metrics` is open to everybody where there is no `METRICS_TOKEN`",
                "`false`; `true` with `DEBUG`",
            ),
            "LOG_FORMAT": Meaning("how lines are logged", "`json`; `text` with `DEBUG`", "json or text"),
            "LOG_LEVEL": Meaning("the least that is logged", allowed="DEBUG, INFO, WARNING or ERROR"),
            "SENTRY_DSN": Meaning("the Sentry project that errors are reported to", "none: nothing is reported"),
            "SENTRY_ENVIRONMENT": Meaning("what Sentry calls this site"),
            "SENTRY_RELEASE": Meaning(
                "what Sentry calls this version", "what Sentry's library finds: Heroku's or git's commit"
            ),
            "OTEL_EXPORTER_OTLP_ENDPOINT": Meaning(
                "base URL of the OpenTelemetry collector that traces are sent to, by OTLP over HTTP",
                "none: nothing is traced",
            ),
            "OTEL_SERVICE_NAME": Meaning("what traces call this site"),
        },
    ),
)

PROCESSES = Group(
    "Processes",
    "Read from the environment alone, by the Procfile and by what it starts.",
    {
        "BADGES_CFG": Meaning("path of the settings file", "none"),
        "EVENT_BUS_CONSUMER_GROUP": Meaning(
            "the group in which consumers share the events; never that of another application, which would miss what "
            "we read"
        ),
        "PGSSLMODE": Meaning("PostgreSQL's own: its `sslmode` where `DATABASE_URL` has none", "none"),
        "PORT": Meaning("where `web` listens"),
        "WEB_ADDRESS": Meaning("the address it listens at; the systemd units say `127.0.0.1`"),
        "WEB_CONCURRENCY": Meaning("processes of `web`, four threads each"),
        "WORKER_CONCURRENCY": Meaning("child processes of `worker`"),
        "CREDLY_CONCURRENCY": Meaning("threads of `credly`, so calls to Credly at once"),
        "DYNO": Meaning("name of this process, set by Heroku", "none"),
        "PS": Meaning("name of this process, set by other supervisors", "none"),
        "HONCHO_PROCESS_NAME": Meaning("name of this consumer, set by honcho", "none"),
        "FLOWER_PORT": Meaning("where `flower` listens", "5555"),
        "FLOWER_ADDRESS": Meaning("the address it listens at; the systemd units say `127.0.0.1`", "all"),
        "FLOWER_BASIC_AUTH": Meaning(
            "`user:password`; Flower does not start without it or `FLOWER_AUTH_PROVIDER`", "none"
        ),
        "FLOWER_AUTH_PROVIDER": Meaning(
            "dotted path of a login by OAuth, with [Flower's other settings for it]"
            "(https://flower.readthedocs.io/en/latest/auth.html)",
            "none",
        ),
        "FLOWER_AUTH": Meaning("e-mail addresses that may log in by OAuth; required with it", "none"),
    },
)

BADGES_CONFIG = {
    "events": "event types that requirements and penalties may use ([events](events.md))",
    "credly.CREDLY_BASE_URL": "Credly's site, for links",
    "credly.CREDLY_API_BASE_URL": "Credly's API",
    "credly.CREDLY_SANDBOX_BASE_URL": "the sandbox's site",
    "credly.CREDLY_SANDBOX_API_BASE_URL": "the sandbox's API",
    "credly.USE_SANDBOX": "sandbox instead of production",
    "credly.ORGANIZATIONS": "API key by organization UUID; `CREDLY_ORGANIZATIONS` comes first",
    "rules.ignored_keypaths": "payload paths that no rule may compare ([configuration](configuration.md))",
}
