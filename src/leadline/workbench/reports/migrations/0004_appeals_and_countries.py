"""Appeals come in as reports do, and say so; people note the countries of a report."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reports', '0003_contact_keys_proposals_and_follow_ups'),
    ]

    operations = [
        migrations.AddField(
            model_name='report',
            name='is_appeal',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='report',
            name='countries',
            field=models.JSONField(default=dict),
        ),
    ]
