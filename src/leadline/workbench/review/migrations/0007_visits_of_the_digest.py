"""When a person last read what became of their decisions, so that what is new since is marked."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_own_language'),
        ('review', '0006_the_queue_is_read_in_order'),
    ]

    operations = [
        migrations.CreateModel(
            name='DigestVisit',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('at', models.DateTimeField()),
                ('before_at', models.DateTimeField(null=True)),
            ],
        ),
    ]
