"""States of lists have names; what of a match is TLP:RED stands beside it; another person releases an exhibit."""

from django.conf import settings
from django.db import migrations, models


def name_those_released_alone(apps, schema_editor):
    """Until now only an office of one person could do so: the rows are given what the constraint asks for."""
    exhibits = apps.get_model("evidence", "Exhibit").objects
    exhibits.filter(decided_by=models.F("requested_by")).update(is_alone=True)


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='asset',
            name='inferred_from',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='asset',
            name='inferred_red',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='assetmatch',
            name='is_red',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='bankseen',
            name='state',
            field=models.CharField(blank=True, max_length=160),
        ),
        migrations.AddField(
            model_name='exhibit',
            name='is_alone',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='task',
            name='is_red',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='bankseen',
            name='announced',
            field=models.CharField(blank=True, max_length=160),
        ),
        migrations.RunPython(name_those_released_alone, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='exhibit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_by', models.F('requested_by')), _negated=True), ('decided_by__isnull', True), ('is_alone', True), ('state', 'refused'), _connector='OR'), name='another_person_releases_an_exhibit'),
        ),
    ]
