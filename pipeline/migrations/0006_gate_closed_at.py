"""Since when Credly is not called for an organization, whatever the reason; until now known of a refused key only."""

from django.db import migrations, models
from django.utils import timezone


def name_reason_and_time(apps, schema_editor):
    """Every closed gate has both.  May be repeated."""
    organizations = apps.get_model("pipeline", "Organization").objects
    organizations.filter(gate_closed_at__isnull=False).update(gate_reason="key refused")
    organizations.exclude(gate_reason="").filter(gate_closed_at=None).update(gate_closed_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("pipeline", "0005_groups_of_faults")]
    operations = [
        migrations.RenameField("organization", "key_refused_since", "gate_closed_at"),
        migrations.AlterField(
            "organization",
            "gate_closed_at",
            models.DateTimeField(blank=True, editable=False, null=True, verbose_name="not called since"),
        ),
        migrations.RunPython(name_reason_and_time, migrations.RunPython.noop),
    ]
