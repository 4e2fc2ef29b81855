"""The badges that there are to earn, the same for every seed, in a database in memory that is the simulation's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from pipeline.models import Organization, Template
from tests.ledgers import builders
from tests.ledgers.builders import FAILED, PASSED, course
from tests.simulation.credly import KEY

ORGANIZATION = UUID(int=0xACADE)
GONE_WITH_A_SEED = ("signal", "badgehistory", "badge", "fulfillment", "progress", "event", "learner")


@dataclass(frozen=True)
class Plan:
    """Templates about the same courses: those, and the UUIDs of the templates."""

    courses: tuple[str, ...]
    templates: tuple[UUID, ...]


def _key(name: str) -> str:
    return f"course-v1:Simulated+{name}+2026"


# Courses, and per template: (alternatives that are all needed, reset together?, award again?, duplicates at Credly?)
_USUAL = ((("A",),), False, True, True)
_PLANS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("A", (_USUAL,)),
    ("BCD", (((("B", "C"), ("D",)), False, True, True),)),
    ("E", (((("E",),), False, False, True),)),
    ("F", (((("F",),), False, True, False),)),
    ("GH", (((("G",), ("H",)), True, True, True),)),
    ("I", (((("I",),), False, True, True), ((("I",),), False, False, False))),
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
    for number, (_, templates) in enumerate(_PLANS):
        for uuid, (needed, together, reaward, duplicates) in zip(plans()[number].templates, templates, strict=True):
            row = builders.template(owner, uuid=uuid, reaward=reaward, allows_duplicates=duplicates)
            made = {
                name: builders.requirement(row, name.lower(), PASSED, course(_key(name)), group=letter)
                for letter, names in zip("XYZ", needed, strict=False)
                for name in names
            }
            for name, requirement in made.items():
                resets = list(made.values()) if together else [requirement]
                builders.penalty(row, f"{name.lower()}-failed", resets, FAILED, course(_key(name)))


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
        str(uuid): each[3]
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
