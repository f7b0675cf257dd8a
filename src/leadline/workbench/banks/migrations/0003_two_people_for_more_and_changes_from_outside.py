"""More takes two people, and what other programs do to a folder is followed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('banks', '0002_no_row_takes_anothers_place'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Followed',
            fields=[
                ('bank', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('state', models.CharField(max_length=160)),
                ('settings', models.JSONField(default=dict)),
                ('runs', models.TextField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='proposal',
            name='another_person_confirms_a_false_positive',
        ),
        migrations.AddField(
            model_name='proposal',
            name='what',
            field=models.CharField(choices=[('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came')], default='add', max_length=10),
        ),
        migrations.AlterField(
            model_name='change',
            name='person',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='change',
            name='what',
            field=models.CharField(choices=[('create', 'create'), ('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came'), ('went', 'went'), ('altered', 'altered'), ('confirm', 'confirm')], max_length=10),
        ),
        migrations.AlterField(
            model_name='proposal',
            name='count',
            field=models.PositiveBigIntegerField(),
        ),
        migrations.AlterField(
            model_name='proposal',
            name='proposed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(fields=['bank', 'state'], name='banks_propo_bank_4f0fb0_idx'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'confirmed'), _negated=True), ('is_alone', True), models.Q(('proposed_by__isnull', False), models.Q(('decided_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='another_person_confirms'),
        ),
    ]
