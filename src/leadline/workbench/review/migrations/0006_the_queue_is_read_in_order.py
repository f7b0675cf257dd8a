"""The queue is read in the order of an index of open reviews."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0002_states_of_lists_and_red_matches'),
        ('review', '0005_appeals_and_who_is_told'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='review',
            name='is_open',
            field=models.GeneratedField(db_persist=True, expression=models.Q(('state__in', ('waiting', 'claimed', 'held', 'escalated'))), output_field=models.BooleanField()),
        ),
        migrations.AddIndex(
            model_name='review',
            index=models.Index(condition=models.Q(('is_open', True)), fields=['rank', 'received_at', 'id'], name='review_open'),
        ),
    ]
