"""Appeals are few among reports, and asked for by themselves."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reports', '0004_appeals_and_countries'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='report',
            index=models.Index(condition=models.Q(('is_appeal', True)), fields=['received_at'], name='report_appeals'),
        ),
    ]
