"""Near files that two people trust."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('banks', '0003_two_people_for_more_and_changes_from_outside'),
    ]

    operations = [
        migrations.CreateModel(
            name='Trusted',
            fields=[
                ('bank', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('identity', models.CharField(max_length=32)),
                ('bits', models.PositiveSmallIntegerField()),
            ],
        ),
        migrations.AlterField(
            model_name='change',
            name='what',
            field=models.CharField(choices=[('create', 'create'), ('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came'), ('went', 'went'), ('altered', 'altered'), ('confirm', 'confirm'), ('trust', 'trust')], max_length=10),
        ),
        migrations.AlterField(
            model_name='proposal',
            name='what',
            field=models.CharField(choices=[('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came'), ('trust', 'trust')], default='add', max_length=10),
        ),
    ]
