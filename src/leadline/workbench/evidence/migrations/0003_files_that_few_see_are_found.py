"""Files that few may see are found by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0002_states_of_lists_and_red_matches'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='asset',
            index=models.Index(fields=['sensitivity'], name='assets_by_sensitivity'),
        ),
        migrations.AddIndex(
            model_name='asset',
            index=models.Index(fields=['tlp'], name='assets_by_tlp'),
        ),
    ]
