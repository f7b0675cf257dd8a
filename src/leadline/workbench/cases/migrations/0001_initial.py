"""Tables of cases."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables
from leadline.workbench.journal.triggers import append_only, frozen_columns


class Migration(Tables):

    dependencies = [
        ('accounts', '0001_tables'),
        ('evidence', '0001_tables'),
        ('reports', '0001_tables'),
        ('review', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='CaseSeries',
            fields=[
                ('year', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('last', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Case',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.CharField(max_length=16, unique=True)),
                ('title_sealed', models.BinaryField()),
                ('state', models.CharField(choices=[('open', 'open'), ('suspended', 'suspended'), ('closed', 'closed')], default='open', max_length=12)),
                ('outcome', models.CharField(blank=True, choices=[('safeguarded', 'safeguarded'), ('removed', 'removed'), ('passed-on', 'passed-on'), ('no-action', 'no-action'), ('unknown', 'unknown')], max_length=16)),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], default='amber+strict', max_length=12)),
                ('pap', models.CharField(choices=[('red', 'red'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], default='amber', max_length=8)),
                ('sensitivity', models.IntegerField(choices=[(0, 'ordinary'), (1, 'sensitive'), (2, 'restricted')], default=1)),
                ('template', models.CharField(blank=True, max_length=64)),
                ('template_version', models.PositiveIntegerField(null=True)),
                ('source_key', models.CharField(max_length=64, null=True, unique=True)),
                ('source_sealed', models.BinaryField(null=True)),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(null=True)),
                ('lead', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='leads', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-opened_at', '-id'),
                'indexes': [
                    models.Index(fields=['-opened_at', '-id'], name='case_opened'),
                    models.Index(fields=['state', '-opened_at', '-id'], name='case_state'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('state', 'closed'), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', 'closed'), _negated=True), ('closed_at__isnull', True), ('outcome', '')), _connector='OR'), name='a_closed_case_has_an_outcome'),
                ],
            },
        ),
        migrations.CreateModel(
            name='CaseHandling',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sensitivity', models.IntegerField()),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=12)),
                ('pap', models.CharField(choices=[('red', 'red'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=8)),
                ('reason', models.CharField(max_length=32)),
                ('asked_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('is_confirmed', models.BooleanField(default=False)),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='handlings', to='cases.case')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-id',),
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('is_confirmed', False), models.Q(('decided_by', models.F('asked_by')), _negated=True), _connector='OR'), name='a_second_person_loosens_a_case'),
                    models.UniqueConstraint(condition=models.Q(('decided_at__isnull', True)), fields=('case',), name='one_open_handling_of_a_case'),
                ],
            },
        ),
        migrations.CreateModel(
            name='CaseStateChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=128)),
                ('from_state', models.CharField(max_length=12)),
                ('to_state', models.CharField(choices=[('open', 'open'), ('suspended', 'suspended'), ('closed', 'closed')], max_length=12)),
                ('reason', models.CharField(max_length=32)),
                ('outcome', models.CharField(blank=True, max_length=16)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='cases.case')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='CaseTask',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('text_sealed', models.BinaryField()),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('doing', 'doing'), ('done', 'done'), ('dropped', 'dropped')], default='waiting', max_length=8)),
                ('due_on', models.DateField(null=True)),
                ('made_by', models.CharField(max_length=128)),
                ('made_at', models.DateTimeField()),
                ('position', models.PositiveIntegerField(default=0)),
                ('assignee', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='case_tasks', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to='cases.case')),
            ],
            options={
                'ordering': ('made_at', 'position', 'id'),
                'indexes': [
                    models.Index(condition=models.Q(('state__in', ('waiting', 'doing'))), fields=['assignee', 'due_on'], name='case_tasks_open'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Imported',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('record', models.CharField(max_length=80)),
                ('state', models.CharField(choices=[('taken', 'taken'), ('without-file', 'without-file'), ('refused', 'refused')], max_length=12)),
                ('fault', models.CharField(blank=True, max_length=40)),
                ('hashes', models.JSONField(default=dict)),
                ('labels', models.JSONField(default=list)),
                ('source', models.CharField(max_length=32)),
                ('facts_sealed', models.BinaryField(null=True)),
                ('imported_at', models.DateTimeField()),
                ('asset', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='imported', to='cases.case')),
            ],
            options={
                'ordering': ('id',),
                'indexes': [
                    models.Index(fields=['case', 'asset'], name='imported_asset'),
                    models.Index(fields=['case', 'id'], name='imported_order'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('case', 'record'), name='one_row_of_a_record'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Member',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('worker', 'worker'), ('reader', 'reader')], default='worker', max_length=8)),
                ('joined_at', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('left_at', models.DateTimeField(null=True)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='members', to='cases.case')),
                ('joined_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='memberships', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('joined_at', 'id'),
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('left_at__isnull', True)), fields=('case', 'person'), name='one_membership_of_a_person'),
                ],
            },
        ),
        migrations.CreateModel(
            name='MemberGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('grant', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.objectgrant')),
                ('member', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='cases.member')),
            ],
        ),
        migrations.CreateModel(
            name='Note',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('text_sealed', models.BinaryField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notes', to='cases.case')),
                ('corrects', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='cases.note')),
            ],
            options={
                'ordering': ('at', 'id'),
            },
        ),
        migrations.CreateModel(
            name='Party',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('victim', 'victim'), ('suspect', 'suspect'), ('witness', 'witness'), ('reporter', 'reporter'), ('other', 'other')], max_length=8)),
                ('name_sealed', models.BinaryField()),
                ('added_at', models.DateTimeField()),
                ('added_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parties', to='cases.case')),
            ],
            options={
                'ordering': ('added_at', 'id'),
            },
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField()),
                ('answer', models.CharField(blank=True, max_length=16)),
                ('answered_at', models.DateTimeField(null=True)),
                ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('from_case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='asked', to='cases.case')),
                ('to_case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='asked_of', to='cases.case')),
            ],
            options={
                'ordering': ('asked_at', 'id'),
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('answered_at__isnull', True)), fields=('from_case', 'to_case'), name='one_open_question'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Selector',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('onion', 'onion'), ('i2p', 'i2p'), ('freenet', 'freenet'), ('wallet', 'wallet'), ('handle', 'handle'), ('e-mail', 'e-mail'), ('phone', 'phone'), ('pgp-key', 'pgp-key'), ('link', 'link'), ('other', 'other')], max_length=8)),
                ('value_sealed', models.BinaryField()),
                ('key', models.CharField(db_index=True, max_length=64)),
                ('role', models.CharField(choices=[('victim', 'victim'), ('suspect', 'suspect'), ('witness', 'witness'), ('reporter', 'reporter'), ('other', 'other')], max_length=8)),
                ('added_by', models.CharField(max_length=128)),
                ('added_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(null=True)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='selectors', to='cases.case')),
                ('item', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reports.item')),
                ('party', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='selectors', to='cases.party')),
            ],
            options={
                'ordering': ('added_at', 'id'),
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('removed_at__isnull', True)), fields=('case', 'key', 'role'), name='one_selector_of_a_role'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Thing',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('added_by', models.CharField(max_length=128)),
                ('added_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(null=True)),
                ('asset', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='things', to='cases.case')),
                ('cluster', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='review.cluster')),
                ('item', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reports.item')),
                ('report', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reports.report')),
            ],
            options={
                'ordering': ('added_at', 'id'),
                'indexes': [
                    models.Index(fields=['case', 'added_at', 'id'], name='thing_of_case'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(models.Q(('asset__isnull', True), ('cluster__isnull', True), ('item__isnull', True), ('report__isnull', False)), models.Q(('asset__isnull', True), ('cluster__isnull', True), ('item__isnull', False), ('report__isnull', True)), models.Q(('asset__isnull', False), ('cluster__isnull', True), ('item__isnull', True), ('report__isnull', True)), models.Q(('asset__isnull', True), ('cluster__isnull', False), ('item__isnull', True), ('report__isnull', True)), _connector='OR'), name='a_thing_is_one_thing'),
                    models.UniqueConstraint(condition=models.Q(('removed_at__isnull', True), ('report__isnull', False)), fields=('case', 'report'), name='one_report_once_in_a_case'),
                    models.UniqueConstraint(condition=models.Q(('item__isnull', False), ('removed_at__isnull', True)), fields=('case', 'item'), name='one_item_once_in_a_case'),
                    models.UniqueConstraint(condition=models.Q(('asset__isnull', False), ('removed_at__isnull', True)), fields=('case', 'asset'), name='one_asset_once_in_a_case'),
                    models.UniqueConstraint(condition=models.Q(('cluster__isnull', False), ('removed_at__isnull', True)), fields=('case', 'cluster'), name='one_cluster_once_in_a_case'),
                ],
            },
        ),
        append_only('cases_casestatechange'),
        # Not the sealed text: a change of the key writes it anew under the new one.
        frozen_columns('cases_note', 'id', 'case_id', 'by_id', 'at', 'corrects_id'),
    ]
