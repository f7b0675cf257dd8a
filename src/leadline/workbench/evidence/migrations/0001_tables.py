"""Assets, their views and matches, tasks, banks seen, wrapped secrets, exhibits."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables


class Migration(Tables):

    replaces = [
        ('evidence', '0001_initial'),
        ('evidence', '0002_states_of_lists_and_red_matches'),
        ('evidence', '0003_files_that_few_see_are_found'),
        ('evidence', '0004_when_it_was_let_out'),
        ('evidence', '0005_set_aside_files_are_counted'),
        ('evidence', '0006_set_aside_files_are_counted_by_type'),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BankSeen',
            fields=[
                ('bank', models.CharField(max_length=200, primary_key=True, serialize=False)),
                ('announced', models.CharField(blank=True, max_length=160)),
                ('list_version', models.BigIntegerField()),
                ('settings', models.CharField(max_length=80)),
                ('seen_at', models.DateTimeField()),
                ('state', models.CharField(blank=True, max_length=160)),
            ],
        ),
        migrations.CreateModel(
            name='WrappedSecret',
            fields=[
                ('purpose', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('wrapped', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='Asset',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('sha256', models.CharField(max_length=64, unique=True)),
                ('sha1', models.CharField(db_index=True, max_length=40)),
                ('md5', models.CharField(db_index=True, max_length=32)),
                ('size_bytes', models.BigIntegerField()),
                ('mime', models.CharField(max_length=80)),
                ('width', models.PositiveIntegerField(default=0)),
                ('height', models.PositiveIntegerField(default=0)),
                ('frames', models.PositiveIntegerField(default=1)),
                ('pdq', models.CharField(blank=True, db_index=True, max_length=64)),
                ('quality', models.PositiveSmallIntegerField(null=True)),
                ('partial', models.BooleanField(default=False)),
                ('fault', models.CharField(blank=True, max_length=64)),
                ('sensitivity', models.IntegerField(choices=[(0, 'ordinary'), (1, 'sensitive'), (2, 'restricted')], default=1)),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], default='amber+strict', max_length=12)),
                ('state', models.CharField(choices=[('kept', 'kept'), ('discarded', 'discarded'), ('erased', 'erased')], max_length=12)),
                ('source', models.CharField(max_length=64)),
                ('name_sealed', models.BinaryField(null=True)),
                ('received_at', models.DateTimeField()),
                ('retain_until', models.DateTimeField(null=True)),
                ('on_hold', models.BooleanField(default=False)),
                ('erased_at', models.DateTimeField(null=True)),
                ('verdict', models.CharField(default='unknown', max_length=12)),
                ('inferred_kind', models.CharField(blank=True, max_length=16)),
                ('inferred_scheme', models.CharField(blank=True, max_length=200)),
                ('inferred_label', models.CharField(blank=True, max_length=200)),
                ('is_set_aside', models.BooleanField(default=False)),
                ('inferred_from', models.CharField(blank=True, max_length=200)),
                ('inferred_red', models.BooleanField(default=False)),
                ('let_out_at', models.DateTimeField(db_index=True, null=True)),
            ],
            options={
                'ordering': ('-received_at', '-id'),
                'indexes': [models.Index(fields=['-received_at', '-id'], name='evidence_as_receive_f07a26_idx'), models.Index(fields=['state', '-received_at', '-id'], name='evidence_as_state_3d070b_idx'), models.Index(fields=['verdict', '-received_at', '-id'], name='evidence_as_verdict_30a444_idx'), models.Index(fields=['inferred_kind', '-received_at', '-id'], name='evidence_as_inferre_81ab29_idx'), models.Index(condition=models.Q(('on_hold', False), ('state', 'kept')), fields=['retain_until'], name='assets_that_expire'), models.Index(fields=['sensitivity'], name='assets_by_sensitivity'), models.Index(fields=['tlp'], name='assets_by_tlp'), models.Index(condition=models.Q(('is_set_aside', True)), fields=['received_at', 'mime'], name='assets_set_aside_by_type')],
            },
        ),
        migrations.CreateModel(
            name='AssetView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('view', models.CharField(max_length=40)),
                ('family', models.CharField(max_length=1)),
                ('quality', models.PositiveSmallIntegerField()),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('pdq', models.BinaryField()),
                ('others', models.JSONField(default=dict)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='views', to='evidence.asset')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='AssetMatch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bank', models.CharField(max_length=200)),
                ('entry', models.BigIntegerField()),
                ('kind', models.CharField(max_length=16)),
                ('algorithm', models.CharField(max_length=40)),
                ('distance', models.FloatField()),
                ('threshold', models.FloatField()),
                ('transform', models.CharField(max_length=16)),
                ('view', models.CharField(max_length=40)),
                ('family', models.CharField(blank=True, max_length=1)),
                ('scheme', models.CharField(blank=True, max_length=200)),
                ('label', models.CharField(blank=True, max_length=200)),
                ('suppressed_by', models.CharField(blank=True, max_length=240)),
                ('list_version', models.BigIntegerField()),
                ('found_at', models.DateTimeField()),
                ('withdrawn_at', models.DateTimeField(null=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='evidence.asset')),
                ('is_red', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ('withdrawn_at', 'id'),
                'indexes': [models.Index(condition=models.Q(('withdrawn_at__isnull', True)), fields=['bank', 'entry'], name='live_matches')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('withdrawn_at__isnull', True)), fields=('asset', 'bank', 'entry', 'algorithm'), name='one_live_match_of_an_entry')],
            },
        ),
        migrations.CreateModel(
            name='Exhibit',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('requested', 'requested'), ('refused', 'refused'), ('released', 'released'), ('ready', 'ready'), ('failed', 'failed'), ('received', 'received')], default='requested', max_length=12)),
                ('reference', models.CharField(blank=True, max_length=200)),
                ('recipient', models.CharField(max_length=200)),
                ('recipient_key', models.CharField(blank=True, max_length=200)),
                ('reason', models.CharField(max_length=64)),
                ('requested_at', models.DateTimeField(auto_now_add=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('line', models.BigIntegerField(null=True)),
                ('manifest_sha512', models.CharField(blank=True, max_length=128)),
                ('size_bytes', models.BigIntegerField(null=True)),
                ('fault', models.CharField(blank=True, max_length=64)),
                ('received_at', models.DateTimeField(null=True)),
                ('receipt_sha256', models.CharField(blank=True, max_length=64)),
                ('sensitivity', models.IntegerField(default=1)),
                ('assets', models.ManyToManyField(related_name='exhibits', to='evidence.asset')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('receipt_noted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('is_alone', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ('-requested_at', '-id'),
                'indexes': [models.Index(fields=['-requested_at', '-id'], name='evidence_ex_request_4e615c_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['released', 'ready', 'received']), _negated=True), ('decided_by__isnull', False), _connector='OR'), name='a_released_exhibit_was_decided'), models.CheckConstraint(condition=models.Q(models.Q(('decided_by', models.F('requested_by')), _negated=True), ('decided_by__isnull', True), ('is_alone', True), ('state', 'refused'), _connector='OR'), name='another_person_releases_an_exhibit')],
            },
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('new-hit', 'new-hit'), ('withdrawn', 'withdrawn')], max_length=12)),
                ('bank', models.CharField(max_length=200)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('done_at', models.DateTimeField(null=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to='evidence.asset')),
                ('done_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('is_red', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('done_at__isnull', True)), fields=['-id'], name='open_tasks')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('done_at__isnull', True)), fields=('kind', 'asset', 'bank'), name='one_open_task_of_a_kind')],
            },
        ),
    ]
