"""Reports, items, states that nobody rewrites, contacts, messages, alerts, bulk files."""

import django.db.models.deletion
import leadline.domain
import leadline.workbench.permissions
import leadline.workbench.reports.states
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables
from leadline.workbench.journal.triggers import append_only, no_replace


class Migration(Tables):

    replaces = [
        ('reports', '0001_initial'),
        ('reports', '0002_no_row_takes_anothers_place'),
        ('reports', '0003_contact_keys_proposals_and_follow_ups'),
        ('reports', '0004_appeals_and_countries'),
        ('reports', '0005_appeals_are_found_among_reports'),
    ]

    dependencies = [
        ('evidence', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Series',
            fields=[
                ('year', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('last', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField()),
                ('source', models.CharField(blank=True, max_length=120)),
                ('data_sealed', models.BinaryField(null=True)),
                ('begun_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('sha256', models.CharField(blank=True, max_length=64)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='OnCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('begins_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('set_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-begins_at',),
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.CharField(max_length=16, unique=True)),
                ('channel', models.CharField(choices=[('public-form', 'public-form'), ('staff-form', 'staff-form'), ('bulk', 'bulk'), ('mail', 'mail'), ('api', 'api'), ('iccam', 'iccam'), ('ncmec', 'ncmec'), ('chat', 'chat'), ('capture', 'capture'), ('scan', 'scan')], max_length=20)),
                ('source', models.CharField(blank=True, max_length=120)),
                ('source_reference', models.CharField(blank=True, max_length=200)),
                ('received_at', models.DateTimeField()),
                ('sender_received_at', models.DateTimeField(null=True)),
                ('made_at', models.DateTimeField(null=True)),
                ('state', models.CharField(choices=[('new', 'new'), ('triage', 'triage'), ('waiting', 'waiting'), ('forwarded', 'forwarded'), ('closed', 'closed'), ('reopened', 'reopened'), ('duplicate', 'duplicate')], default=leadline.workbench.reports.states.State['NEW'], max_length=20)),
                ('is_open', models.BooleanField(default=True)),
                ('outcome', models.CharField(blank=True, max_length=20)),
                ('due_at', models.DateTimeField(null=True)),
                ('urgency', models.PositiveSmallIntegerField(default=0)),
                ('rank', models.PositiveSmallIntegerField(default=3)),
                ('urgency_ticks', models.JSONField(default=list)),
                ('urgency_why', models.JSONField(default=list)),
                ('sensitivity', models.IntegerField(default=leadline.workbench.permissions.Sensitivity['SENSITIVE'])),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], default=leadline.domain.Tlp['AMBER_STRICT'], max_length=20)),
                ('language', models.CharField(blank=True, max_length=8)),
                ('item_count', models.PositiveIntegerField(default=0)),
                ('known_count', models.PositiveIntegerField(default=0)),
                ('checks', models.JSONField(default=dict)),
                ('text_sealed', models.BinaryField(null=True)),
                ('facts_sealed', models.BinaryField(null=True)),
                ('contact_sealed', models.BinaryField(null=True)),
                ('passphrase_hash', models.CharField(blank=True, max_length=160)),
                ('receipt_lookup', models.CharField(blank=True, max_length=8)),
                ('closed_at', models.DateTimeField(null=True)),
                ('contact_erased_at', models.DateTimeField(null=True)),
                ('erased_at', models.DateTimeField(null=True)),
                ('on_hold', models.BooleanField(default=False)),
                ('assigned_to', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('attached_to', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='attached', to='reports.report')),
                ('is_appeal', models.BooleanField(default=False)),
                ('countries', models.JSONField(default=dict)),
            ],
            options={
                'ordering': ('rank', 'received_at', 'id'),
                'indexes': [models.Index(fields=['rank', 'received_at', 'id'], name='report_queue'), models.Index(fields=['is_open', 'rank', 'received_at', 'id'], name='report_open'), models.Index(fields=['state', 'rank', 'received_at', 'id'], name='report_state'), models.Index(fields=['urgency', 'rank', 'received_at', 'id'], name='report_urgency'), models.Index(fields=['channel', 'rank', 'received_at', 'id'], name='report_channel'), models.Index(fields=['assigned_to', 'rank', 'received_at', 'id'], name='report_mine'), models.Index(fields=['received_at', 'id'], name='report_received'), models.Index(fields=['source_reference'], name='report_reference'), models.Index(fields=['receipt_lookup'], name='report_receipt'), models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='report_due'), models.Index(condition=models.Q(('closed_at__isnull', False)), fields=['closed_at'], name='report_closed'), models.Index(condition=models.Q(('is_appeal', True)), fields=['received_at'], name='report_appeals')],
                'constraints': [models.CheckConstraint(condition=models.Q(('urgency__lte', 3)), name='urgency_is_0_to_3'), models.CheckConstraint(condition=models.Q(models.Q(('is_open', True), ('state__in', [leadline.workbench.reports.states.State['FORWARDED'], leadline.workbench.reports.states.State['NEW'], leadline.workbench.reports.states.State['REOPENED'], leadline.workbench.reports.states.State['TRIAGE'], leadline.workbench.reports.states.State['WAITING']])), models.Q(('is_open', False), models.Q(('state__in', [leadline.workbench.reports.states.State['FORWARDED'], leadline.workbench.reports.states.State['NEW'], leadline.workbench.reports.states.State['REOPENED'], leadline.workbench.reports.states.State['TRIAGE'], leadline.workbench.reports.states.State['WAITING']]), _negated=True)), _connector='OR'), name='open_says_what_the_state_says'), models.CheckConstraint(condition=models.Q(models.Q(('state', leadline.workbench.reports.states.State['CLOSED']), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', leadline.workbench.reports.states.State['CLOSED']), _negated=True), ('outcome', '')), _connector='OR'), name='closed_has_an_outcome')],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('from_reporter', models.BooleanField()),
                ('actor', models.CharField(max_length=128)),
                ('text_sealed', models.BinaryField(null=True)),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='reports.report')),
            ],
            options={
                'ordering': ('at', 'id'),
            },
        ),
        migrations.CreateModel(
            name='Item',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('url', 'url'), ('file', 'file'), ('account', 'account'), ('text', 'text'), ('hash', 'hash')], max_length=10)),
                ('value_sealed', models.BinaryField(null=True)),
                ('key', models.CharField(blank=True, max_length=64)),
                ('flags', models.JSONField(default=list)),
                ('first_seen_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField()),
                ('times', models.PositiveIntegerField(default=1)),
                ('asset', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('first', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='repeats', to='reports.item')),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='reports.report')),
                ('kind_met', models.CharField(blank=True, max_length=16)),
            ],
            options={
                'ordering': ('report', 'position'),
                'indexes': [models.Index(fields=['key', 'first'], name='item_key')],
                'constraints': [models.UniqueConstraint(fields=('report', 'position'), name='one_item_at_a_position'), models.UniqueConstraint(condition=models.Q(('first__isnull', True), models.Q(('key', ''), _negated=True)), fields=('key',), name='one_first_item_of_a_key')],
            },
        ),
        migrations.CreateModel(
            name='DeliveryLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('code', models.CharField(blank=True, max_length=40)),
                ('field', models.CharField(blank=True, max_length=40)),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='reports.delivery')),
                ('report', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reports.report')),
            ],
            options={
                'ordering': ('number',),
                'constraints': [models.UniqueConstraint(fields=('delivery', 'number'), name='one_result_of_a_line')],
            },
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('raised_at', models.DateTimeField()),
                ('last_sent_at', models.DateTimeField(null=True)),
                ('sent_count', models.PositiveIntegerField(default=0)),
                ('failure', models.CharField(blank=True, max_length=80)),
                ('acknowledged_at', models.DateTimeField(null=True)),
                ('acknowledged_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='alert', to='reports.report')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('acknowledged_at__isnull', True)), fields=['raised_at'], name='alert_open')],
            },
        ),
        migrations.CreateModel(
            name='Acknowledged',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(max_length=128)),
                ('key_hash', models.CharField(max_length=64)),
                ('body_hash', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reports.report')),
            ],
            options={
                'indexes': [models.Index(fields=['at'], name='reports_ack_at_3be783_idx')],
                'constraints': [models.UniqueConstraint(fields=('scope', 'key_hash'), name='one_answer_to_a_key')],
            },
        ),
        migrations.CreateModel(
            name='StateChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=128)),
                ('from_state', models.CharField(max_length=20)),
                ('to_state', models.CharField(choices=[('new', 'new'), ('triage', 'triage'), ('waiting', 'waiting'), ('forwarded', 'forwarded'), ('closed', 'closed'), ('reopened', 'reopened'), ('duplicate', 'duplicate')], max_length=20)),
                ('reason', models.CharField(max_length=30)),
                ('outcome', models.CharField(blank=True, max_length=20)),
                ('journal_line', models.BigIntegerField()),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='reports.report')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='ContactKey',
            fields=[
                ('report', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='contact_key', serialize=False, to='reports.report')),
                ('key_sealed', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='Followed',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('line', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='HandlingProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sensitivity', models.IntegerField()),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=20)),
                ('reason', models.CharField(max_length=64)),
                ('asked_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('is_confirmed', models.BooleanField(default=False)),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='handling_proposals', to='reports.report')),
            ],
            options={
                'ordering': ('-id',),
                'constraints': [models.CheckConstraint(condition=models.Q(('is_confirmed', False), models.Q(('decided_by', models.F('asked_by')), _negated=True), _connector='OR'), name='a_second_person_lowers_handling'), models.UniqueConstraint(condition=models.Q(('decided_at__isnull', True)), fields=('report',), name='one_open_handling_of_a_report')],
            },
        ),
        append_only('reports_statechange'),
        no_replace('reports_statechange', 'id'),
    ]
