"""The team's page counts what was set aside by when it came."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0004_when_it_was_let_out'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='asset',
            index=models.Index(condition=models.Q(('is_set_aside', True)), fields=['received_at'], name='assets_set_aside'),
        ),
    ]
