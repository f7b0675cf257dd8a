"""The newest documents of a kind are read through for a frequent word."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('search', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='document',
            index=models.Index(fields=['kind', 'id'], name='documents_newest'),
        ),
    ]
