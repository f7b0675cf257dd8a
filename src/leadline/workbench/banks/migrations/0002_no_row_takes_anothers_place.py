"""An append-only table also refuses REPLACE."""

from django.db import migrations

from leadline.workbench.journal.triggers import no_replace


class Migration(migrations.Migration):
    dependencies = [("banks", "0001_initial")]

    operations = [no_replace("banks_entrychange", "id")]
