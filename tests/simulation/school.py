"""The badges that there are to earn, the same for every seed, in a database in memory that is the simulation's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import override_settings

from pipeline import rules
from pipeline.configuration import ruleset
from pipeline.models import Organization, Requirement, Template
from tests.ledgers import builders
from tests.ledgers.builders import FAILED, PASSED, course
from tests.simulation.credly import KEY
from tests.simulation.scheduler import START

ORGANIZATION = UUID(int=0xACADE)
GONE_WITH_A_SEED = (
    "signal",
    "badgehistory",
    "badge",
    "fulfillment",
    "occurrence",
    "progress",
    "event",
    "learner",
)


@dataclass(frozen=True)
class Plan:
    """Templates about the same courses: those, and the UUIDs of the templates."""

    courses: tuple[str, ...]
    templates: tuple[UUID, ...]


@dataclass(frozen=True)
class Asked:
    """A requirement: passing one of some courses.  `more` are its other columns; `after` in it is another's slug."""

    courses: str
    group: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return self.courses.lower()


@dataclass(frozen=True)
class Earned:
    """A template: failing a course resets the requirements that it could fulfill, or all of them."""

    requirements: tuple[Asked, ...]
    together: bool = False
    reaward: bool = True
    duplicates: bool = True
    """Whether Credly allows them."""
    per: str = ""
    forgiven: str = ""
    """Courses that take nothing back."""


def _key(name: str) -> str:
    return f"course-v1:Simulated+{name}+2026"


COURSE = "course.course_key"
_WHILE = {"counts_from": START - timedelta(seconds=19), "counts_until": START - timedelta(seconds=15)}

_PLANS: tuple[tuple[str, tuple[Earned, ...]], ...] = (
    ("A", (Earned((Asked("A"),)),)),
    ("BCD", (Earned((Asked("B", "X"), Asked("C", "X"), Asked("D", "Y"))),)),
    ("E", (Earned((Asked("E"),), reaward=False),)),
    ("F", (Earned((Asked("F"),), duplicates=False),)),
    ("GH", (Earned((Asked("G"), Asked("H")), together=True),)),
    ("I", (Earned((Asked("I"),)), Earned((Asked("I"),), reaward=False, duplicates=False))),
    ("JKL", (Earned((Asked("JKL", more={"count": 2, "distinct": COURSE}),)),)),
    ("MN", (Earned((Asked("MN", more={"count": 2, "within": timedelta(seconds=2)}),), forgiven="M"),)),
    ("OP", (Earned((Asked("O"), Asked("P", more={"after": "o"}))),)),
    ("QR", (Earned((Asked("Q", more=_WHILE), Asked("QR", more={"count": 2, "distinct": COURSE}))),)),
    ("ST", (Earned((Asked("ST"),), per=COURSE),)),
    ("UVW", (Earned((Asked("UVW"),), per=COURSE), Earned((Asked("UV", more={"count": 2}),), per=COURSE, forgiven="V"))),
    ("XY", (Earned((Asked("XY"),), per=COURSE, reaward=False),)),
)


@contextmanager
def database() -> Iterator[None]:
    """A database in memory with the school in it takes the place of the default one, in this thread."""
    real = connections["default"]
    config = {**real.settings_dict, "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None}
    config |= {"OPTIONS": {"transaction_mode": "IMMEDIATE"}, "CONN_HEALTH_CHECKS": False, "ATOMIC_REQUESTS": False}
    connections["default"] = _wrapper(config)
    try:
        with override_settings(DEBUG=False, BADGES_ENABLED=True, BADGES_CONFIG=_with_key(), CREDLY_RATE_LIMIT=0):
            with connection.schema_editor() as editor:
                for model in apps.get_app_config("pipeline").get_models():
                    editor.create_model(model)
            _open_school()
            ruleset.current()  # kept per process: so the first seed finds what all others find
            yield
    finally:
        connections["default"].connection.close()
        connections["default"] = real
        ruleset._compiled = None


def _wrapper(config: dict[str, Any]) -> BaseDatabaseWrapper:
    from django.db.backends.sqlite3.base import DatabaseWrapper

    return DatabaseWrapper(config, "default")


def _with_key() -> dict[str, Any]:
    """The key stands in the settings: decrypting a stored one takes longer than all else."""
    credly = settings.BADGES_CONFIG["credly"] | {"ORGANIZATIONS": {str(ORGANIZATION): KEY}}
    return {**settings.BADGES_CONFIG, "credly": credly}


def _open_school() -> None:
    owner = builders.organization(uuid=ORGANIZATION, api_key=None)
    for plan, (names, templates) in zip(plans(), _PLANS, strict=True):
        for uuid, earned in zip(plan.templates, templates, strict=True):
            row = builders.template(
                owner, uuid=uuid, reaward=earned.reaward, allows_duplicates=earned.duplicates, per=earned.per
            )
            _configure(row, names, earned)


def _configure(row: Template, names: str, earned: Earned) -> None:
    made: dict[str, Requirement] = {}
    for asked in earned.requirements:
        more = {**asked.more, "after": made[asked.more["after"]]} if "after" in asked.more else asked.more
        seen = (COURSE, "in", "\n".join(map(_key, asked.courses)))
        made[asked.slug] = builders.requirement(row, asked.slug, PASSED, seen, group=asked.group, **more)
    for name in names:
        struck = [made[asked.slug] for asked in earned.requirements if earned.together or name in asked.courses]
        if name not in earned.forgiven and struck:
            builders.penalty(row, f"{name.lower()}-failed", struck, FAILED, course(_key(name)))


@cache
def plans() -> list[Plan]:
    """What a seed chooses from."""
    return [
        Plan(tuple(map(_key, names)), tuple(UUID(int=number * 16 + each + 1) for each in range(len(templates))))
        for number, (names, templates) in enumerate(_PLANS)
    ]


def compiled(plan: Plan) -> list[rules.Template]:
    """The plan's templates as the rules, and the oracle, see them."""
    rows = Template.objects.filter(uuid__in=plan.templates)
    found = [ruleset.current().ruleset.template(row.pk) for row in rows]
    return [template for template in found if template is not None]


def credly_seed() -> dict[str, Any]:
    """The school as Credly knows it."""
    duplicates = {
        str(uuid): each.duplicates
        for plan, (_, templates) in zip(plans(), _PLANS, strict=True)
        for uuid, each in zip(plan.templates, templates, strict=True)
    }
    templates = [
        {"id": uuid, "name": "Simulated", "allow_duplicate_badges": allowed} for uuid, allowed in duplicates.items()
    ]
    tokens = [{"token": KEY}]
    return {"organizations": [{"id": str(ORGANIZATION), "name": "Academy", "tokens": tokens, "templates": templates}]}


def clear() -> None:
    """Forget what a seed left: what happened, but not the school."""
    with connection.cursor() as cursor:
        for table in GONE_WITH_A_SEED:
            cursor.execute(f"DELETE FROM pipeline_{table}")
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [f"pipeline_{table}"])
    Organization.objects.update(gate_closed_at=None, call_again_at=None, gate_reason="", failures=0)
