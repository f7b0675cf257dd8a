"""Since when the oldest waits of what a duty works off: the mail lag."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("journal", "0004_lines_are_found_by_their_object")]

    operations = [
        migrations.AddField(
            model_name="duty",
            name="waits_since",
            field=models.DateTimeField(null=True),
        ),
    ]
