"""Few reviews are of another one, and few were decided in the last fortnight: an index for each who asks for these."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("review", "0008_looks_at_scenes"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="review",
            index=models.Index(condition=models.Q(("of__isnull", False)), fields=["of"], name="review_of_another"),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(fields=["state", "decided_at"], name="review_decided"),
        ),
    ]
