"""The team's page counts what was set aside without a look at its rows: a fortnight may hold hundreds of thousands."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0005_set_aside_files_are_counted'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='asset', name='assets_set_aside'),
        migrations.AddIndex(
            model_name='asset',
            index=models.Index(condition=models.Q(('is_set_aside', True)), fields=['received_at', 'mime'], name='assets_set_aside_by_type'),
        ),
    ]
