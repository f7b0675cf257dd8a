"""A look is at one scene of a file: of an animation at one of its frames. All looks so far were at the first."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('review', '0007_visits_of_the_digest'),
    ]

    operations = [
        migrations.AddField(
            model_name='exposure',
            name='view',
            field=models.CharField(default='picture', max_length=40),
        ),
    ]
