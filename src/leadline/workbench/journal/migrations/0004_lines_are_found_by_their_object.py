"""The index of a line's object begins with the id: every page of a report or an asset asks by that alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("journal", "0003_duties_have_a_holder_and_clocks_are_watched")]

    operations = [
        migrations.RemoveIndex(model_name="line", name="journal_lin_object__1b777a_idx"),
        migrations.AddIndex(
            model_name="line",
            index=models.Index(fields=["object_id", "line"], name="journal_lin_object__00debf_idx"),
        ),
    ]
