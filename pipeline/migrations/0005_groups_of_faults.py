"""What the groups *Badge operators* and *Badge viewers* may do with gaps and discrepancies."""

from django.apps import apps as installed_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

PERMISSIONS = {
    "Badge viewers": ("view_gap", "view_discrepancy"),
    "Badge operators": ("view_gap", "view_discrepancy", "change_gap", "change_discrepancy"),
}


def extend_groups(apps, schema_editor):
    """Give both groups their permissions.  May be repeated; a group that was deleted stays away."""
    create_permissions(installed_apps.get_app_config("pipeline"), verbosity=0, using=schema_editor.connection.alias)
    for name, codenames in PERMISSIONS.items():
        for group in apps.get_model("auth", "Group").objects.filter(name=name):
            group.permissions.add(
                *apps.get_model("auth", "Permission").objects.filter(
                    content_type__app_label="pipeline", codename__in=codenames
                )
            )


class Migration(migrations.Migration):
    dependencies = [("pipeline", "0004_faults")]
    operations = [migrations.RunPython(extend_groups, migrations.RunPython.noop)]
