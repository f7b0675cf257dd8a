"""No REPLACE, and lines in their order: also for whoever writes SQL by hand. Anchors keep what they said."""

from django.db import migrations

from leadline.custody.chain import GENESIS
from leadline.workbench.journal.triggers import frozen_columns, grows_at_its_end, no_replace


class Migration(migrations.Migration):
    dependencies = [("journal", "0001_initial")]

    operations = [
        no_replace("journal_line", "line", "hash", "previous_hash"),
        grows_at_its_end("journal_line", GENESIS),
        no_replace("journal_anchor", "id"),
        frozen_columns("journal_anchor", "id", "line", "head", "statement"),
    ]
