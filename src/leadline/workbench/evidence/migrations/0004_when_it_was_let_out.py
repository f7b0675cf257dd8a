"""When it was let out."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0003_files_that_few_see_are_found'),
    ]

    operations = [
        migrations.AddField(
            model_name='asset',
            name='let_out_at',
            field=models.DateTimeField(db_index=True, null=True),
        ),
    ]
