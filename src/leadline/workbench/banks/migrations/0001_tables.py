"""Banks: changes, which entries they touched (append-only), proposals, what is followed and trusted."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables
from leadline.workbench.journal.triggers import append_only, no_replace


class Migration(Tables):

    replaces = [
        ('banks', '0001_initial'),
        ('banks', '0002_no_row_takes_anothers_place'),
        ('banks', '0003_two_people_for_more_and_changes_from_outside'),
        ('banks', '0004_near_files_that_two_people_trust'),
        ('banks', '0005_what_is_proposed_is_sealed'),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('bank', models.CharField(max_length=64)),
                ('what', models.CharField(choices=[('create', 'create'), ('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came'), ('went', 'went'), ('altered', 'altered'), ('confirm', 'confirm'), ('trust', 'trust')], max_length=10)),
                ('reason', models.CharField(max_length=64)),
                ('actor', models.CharField(max_length=128)),
                ('begun_at', models.DateTimeField(auto_now_add=True)),
                ('from_version', models.BigIntegerField(default=0)),
                ('from_id', models.BigIntegerField(default=0)),
                ('wished', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('begun', 'begun'), ('done', 'done'), ('failed', 'failed'), ('lost', 'lost')], default='begun', max_length=10)),
                ('ended_at', models.DateTimeField(null=True)),
                ('count', models.BigIntegerField(default=0)),
                ('person', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['bank', '-begun_at', '-id'], name='banks_chang_bank_2dd0bd_idx'), models.Index(fields=['state', 'begun_at'], name='banks_chang_state_882e34_idx')],
            },
        ),
        migrations.CreateModel(
            name='EntryChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank', models.CharField(max_length=64)),
                ('first_entry', models.BigIntegerField()),
                ('last_entry', models.BigIntegerField()),
                ('change', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='banks.change')),
            ],
            options={
                'indexes': [models.Index(fields=['bank', 'first_entry', 'last_entry'], name='banks_entry_bank_299166_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('first_entry__lte', models.F('last_entry'))), name='a_range_has_an_order')],
            },
        ),
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('bank', models.CharField(max_length=64)),
                ('reason', models.CharField(max_length=64)),
                ('count', models.PositiveBigIntegerField()),
                ('actor', models.CharField(max_length=128)),
                ('proposed_at', models.DateTimeField(auto_now_add=True)),
                ('state', models.CharField(choices=[('open', 'open'), ('confirmed', 'confirmed'), ('refused', 'refused')], default='open', max_length=10)),
                ('decided_at', models.DateTimeField(null=True)),
                ('is_alone', models.BooleanField(default=False)),
                ('change', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='banks.change')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('what', models.CharField(choices=[('add', 'add'), ('withdraw', 'withdraw'), ('set', 'set'), ('came', 'came'), ('trust', 'trust')], default='add', max_length=10)),
                ('entries_sealed', models.BinaryField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['state', 'proposed_at'], name='banks_propo_state_13479a_idx'), models.Index(fields=['bank', 'state'], name='banks_propo_bank_4f0fb0_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state', 'confirmed'), _negated=True), ('is_alone', True), models.Q(('proposed_by__isnull', False), models.Q(('decided_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='another_person_confirms')],
            },
        ),
        migrations.CreateModel(
            name='Followed',
            fields=[
                ('bank', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('state', models.CharField(max_length=160)),
                ('settings', models.JSONField(default=dict)),
                ('runs', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='Trusted',
            fields=[
                ('bank', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('identity', models.CharField(max_length=32)),
                ('bits', models.PositiveSmallIntegerField()),
            ],
        ),
        append_only('banks_entrychange'),
        no_replace('banks_entrychange', 'id'),
    ]
