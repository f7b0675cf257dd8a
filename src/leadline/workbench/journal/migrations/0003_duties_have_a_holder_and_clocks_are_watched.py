"""Who does a duty just now; what each machine's clock said when it was last believed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("journal", "0002_no_row_takes_anothers_place")]

    operations = [
        migrations.CreateModel(
            name="Clock",
            fields=[
                ("machine", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("trusted_at", models.DateTimeField()),
                ("boot", models.CharField(max_length=40)),
                ("up_s", models.FloatField()),
                ("doubt", models.CharField(blank=True, max_length=10)),
            ],
        ),
        migrations.AddField(
            model_name="duty",
            name="held_by",
            field=models.CharField(blank=True, default="", max_length=80),
        ),
    ]
