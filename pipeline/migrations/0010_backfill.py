import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pipeline', '0009_richer_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Backfill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('running', 'running'), ('stopped', 'stopped'), ('done', 'done')], default='running', max_length=10)),
                ('rule', models.CharField(help_text="The template's rules that it runs for, by their hash.", max_length=64)),
                ('stamp', models.UUIDField(help_text='The version of the configuration at its latest turn.', null=True)),
                ('since', models.DateTimeField(help_text='Only events of this time or later; null: all that are kept.', null=True)),
                ('until', models.DateTimeField(help_text='Only events that were stored until then: later ones came under these rules.')),
                ('position', models.BigIntegerField(default=0, help_text='The LMS user id up to which learners are done.')),
                ('turn', models.PositiveIntegerField(default=0)),
                ('due_at', models.DateTimeField(null=True)),
                ('note', models.TextField(blank=True, default='', help_text='What it lets go first at the moment, or why it ended.')),
                ('total', models.PositiveIntegerField(help_text='Events to look at; null until they are counted.', null=True)),
                ('looked_at', models.PositiveIntegerField(default=0)),
                ('ran', models.PositiveIntegerField(default=0, help_text="Those of them that met the template's rules.")),
                ('awarded', models.PositiveIntegerField(default=0, help_text='Badges that these awarded.')),
                ('revoked', models.PositiveIntegerField(default=0)),
                ('started_by', models.CharField(blank=True, default='', max_length=150)),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('template', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='backfill', to='pipeline.template')),
            ],
            options={
                'verbose_name': 'backfill',
                'verbose_name_plural': 'backfills',
            },
        ),
    ]
