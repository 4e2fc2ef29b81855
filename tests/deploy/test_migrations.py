"""During an upgrade the processes of the version before go on with the new tables (docs/deployment/upgrading.md)."""

from collections.abc import Iterator

import pytest
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import NOT_PROVIDED, Field, UniqueConstraint

APP = "pipeline"
BEFORE_COMPATIBILITY = "0008_unique_everywhere"
HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RemoveConstraint,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RunPython,
)


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def names(loader: MigrationLoader) -> list[str]:
    """Our migrations, oldest first."""
    return sorted(name for app, name in loader.disk_migrations if app == APP)


def breaks(loader: MigrationLoader, name: str) -> Iterator[str]:
    """What a migration does that processes of the version before can't live with."""
    migration = loader.get_migration(APP, name)
    start, state = (loader.project_state((APP, name), at_end=False) for _ in range(2))
    made = {operation.name_lower for operation in migration.operations if isinstance(operation, migrations.CreateModel)}
    for operation in migration.operations:
        of_new_table = getattr(operation, "model_name_lower", None) in made
        if not (of_new_table or isinstance(operation, HARMLESS) or _is_lived_with(operation, start, state)):
            yield f"{name}: {operation.describe()}"
        operation.state_forwards(APP, state)


def _is_lived_with(operation: object, start: ProjectState, before: ProjectState) -> bool:
    """A column that may be left out, or takes all that it took before; a constraint that takes the place of a narrower one."""
    match operation:
        case migrations.AddField(field=field):
            return _may_be_left_out(field)
        case migrations.AddConstraint(constraint=UniqueConstraint() as constraint):
            return _is_looser_than_one_before(constraint, start.models[APP, operation.model_name_lower])
        case migrations.AlterField(field=field):
            old = before.models[APP, operation.model_name_lower].fields[operation.name_lower]
            return type(old) is type(field) and all(_loosens(change, old, field) for change in _changes(old, field))
        case _:
            return False


def _is_looser_than_one_before(constraint: UniqueConstraint, model: ModelState) -> bool:
    """Whether what was unique before, and may have been replaced by this, was so by fewer columns."""
    old = [each for each in model.options["constraints"] if isinstance(each, UniqueConstraint)]
    return any(set(each.fields) < set(constraint.fields) and each.condition == constraint.condition for each in old)


def _may_be_left_out(field: Field) -> bool:
    return field.null or field.many_to_many or field.db_default is not NOT_PROVIDED


def _changes(old: Field, new: Field) -> set[str]:
    """The arguments that differ and that the database knows, or Django when it names the column."""
    options = old.deconstruct()[3], new.deconstruct()[3]
    unknown_to_it = set(new.non_db_attrs) - {"db_column"} | {"default"}
    return {key for key in {**options[0], **options[1]} if options[0].get(key) != options[1].get(key)} - unknown_to_it


def _loosens(change: str, old: Field, new: Field) -> bool:
    match change:
        case "null" | "db_default":
            return _may_be_left_out(new)
        case "max_length":
            return bool((new.max_length or 0) > (old.max_length or 0))
        case _:
            return False


def test_no_migration_takes_away_what_the_version_before_uses_or_asks_for_what_it_does_not_write(
    loader: MigrationLoader,
):
    """The second half of a change in two releases is what this must be told: by name, with the reason."""
    later = [name for name in names(loader) if name > BEFORE_COMPATIBILITY]
    assert [told for name in later for told in breaks(loader, name)] == []


def test_what_migrations_did_before_versions_ran_side_by_side_would_be_noticed(loader: MigrationLoader):
    earlier = [name for name in names(loader) if name[:4] > "0001" and name <= BEFORE_COMPATIBILITY]
    told = [told for name in earlier for told in breaks(loader, name)]
    assert "0006_gate_closed_at: Rename field key_refused_since on organization to gate_closed_at" in told
    assert "0002_administration: Add field revocation_reason to badge" in told
    assert "0004_faults: Create constraint badge_live_once on model badge" in told
    assert [line for line in told if "gap_once" in line or "lms_user_id" in line or "0007" in line] == []
