"""A shift is the proof of one session."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('review', '0002_what_it_leads_to'),
    ]

    operations = [
        migrations.AddField(
            model_name='shift',
            name='session_hash',
            field=models.CharField(blank=True, max_length=64),
        ),
    ]
