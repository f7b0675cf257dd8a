"""A list of official schemes is longer than a word."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_own_language'),
    ]

    operations = [
        migrations.AlterField(
            model_name='officesetting',
            name='value',
            field=models.CharField(max_length=4000),
        ),
    ]
