"""What is proposed is sealed; what waits already, and what a crash cut while it was done, is sealed here."""

from typing import Any

from django.db import migrations, models

from leadline.workbench import sealing


def seal_what_waits(apps: Any, editor: Any) -> None:
    for row in apps.get_model("banks", "Proposal").objects.exclude(entries=""):
        # banks.access.wish_context, as it is at this step
        row.entries_sealed = sealing.seal(row.entries, f"bank-proposal:{row.pk}:entries")
        row.save(update_fields=["entries_sealed"])


class Migration(migrations.Migration):

    dependencies = [
        ('banks', '0004_near_files_that_two_people_trust'),
    ]

    operations = [
        migrations.AddField(
            model_name='proposal',
            name='entries_sealed',
            field=models.BinaryField(null=True),
        ),
        migrations.RunPython(seal_what_waits, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='proposal',
            name='entries',
        ),
    ]
