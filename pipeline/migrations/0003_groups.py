"""The groups *Badge operators* and *Badge viewers*."""

from django.apps import apps as installed_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

CONFIGURATION = ("organization", "template", "requirement", "requirementrule", "penalty", "penaltyrule")
LEDGERS = ("event", "learner", "progress", "fulfillment", "badge", "badgehistory", "signal", "webhook")
WITH_ACTIONS = ("event", "learner", "badge", "signal", "webhook")


def create_groups(apps, schema_editor):
    """Create both groups with their permissions.  May be repeated; permissions given by hand stay."""
    # Permissions are otherwise made only after the last migration.
    create_permissions(installed_apps.get_app_config("pipeline"), verbosity=0, using=schema_editor.connection.alias)
    view = {f"view_{model}" for model in (*CONFIGURATION, *LEDGERS)}
    write = {f"{verb}_{model}" for verb in ("add", "change", "delete") for model in CONFIGURATION}
    operate = {f"change_{model}" for model in WITH_ACTIONS}
    for name, codenames in (("Badge viewers", view), ("Badge operators", view | write | operate)):
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        permissions = apps.get_model("auth", "Permission").objects.filter(
            content_type__app_label="pipeline", codename__in=codenames
        )
        group.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("pipeline", "0002_administration"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop)]
