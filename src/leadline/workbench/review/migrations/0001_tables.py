"""Clusters, reviews, exposures, shifts, assessments and what they led to, appeals."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables


class Migration(Tables):

    replaces = [
        ('review', '0001_initial'),
        ('review', '0002_what_it_leads_to'),
        ('review', '0003_shifts_belong_to_a_session'),
        ('review', '0004_golden_items_and_double_reviews'),
        ('review', '0005_appeals_and_who_is_told'),
        ('review', '0006_the_queue_is_read_in_order'),
        ('review', '0007_visits_of_the_digest'),
        ('review', '0008_looks_at_scenes'),
        ('review', '0009_reviews_are_found_by_what_is_few'),
    ]

    dependencies = [
        ('banks', '0001_tables'),
        ('evidence', '0001_tables'),
        ('reports', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Wish',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='wish', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('blur_share', models.FloatField(default=0.05)),
                ('tile_edge_px', models.PositiveSmallIntegerField(default=160)),
                ('reveal_seconds', models.PositiveSmallIntegerField(default=8)),
                ('allow_whole', models.BooleanField(default=True)),
                ('allow_colour', models.BooleanField(default=True)),
                ('daily_minutes', models.PositiveSmallIntegerField(default=120)),
                ('opted_out', models.JSONField(default=list)),
                ('is_volunteer', models.BooleanField(default=False)),
                ('single_keys', models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name='CheckIn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mood', models.PositiveSmallIntegerField()),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='check_ins', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Cluster',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('radius_bits', models.PositiveSmallIntegerField()),
                ('size', models.PositiveIntegerField(default=1)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('centre', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='centre_of', to='evidence.asset')),
            ],
        ),
        migrations.CreateModel(
            name='Member',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('distance', models.PositiveSmallIntegerField()),
                ('transform', models.CharField(blank=True, max_length=16)),
                ('joined_at', models.DateTimeField(auto_now_add=True)),
                ('asset', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='membership', to='evidence.asset')),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='members', to='review.cluster')),
            ],
            options={
                'ordering': ('distance', 'id'),
            },
        ),
        migrations.CreateModel(
            name='Review',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('decision', 'decision'), ('second-opinion', 'second-opinion'), ('sample', 'sample'), ('revision', 'revision'), ('double', 'double'), ('golden', 'golden'), ('disagreement', 'disagreement'), ('reference', 'reference')], default='decision', max_length=16)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('claimed', 'claimed'), ('held', 'held'), ('escalated', 'escalated'), ('decided', 'decided'), ('set-aside', 'set-aside')], default='waiting', max_length=12)),
                ('urgency', models.PositiveSmallIntegerField(default=0)),
                ('rank', models.PositiveSmallIntegerField(default=3)),
                ('why', models.JSONField(default=list)),
                ('severity', models.PositiveSmallIntegerField(default=1)),
                ('category', models.CharField(max_length=32)),
                ('received_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(null=True)),
                ('held_until', models.DateTimeField(null=True)),
                ('held_for', models.CharField(blank=True, max_length=32)),
                ('decided_at', models.DateTimeField(null=True)),
                ('assigned_to', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('claimed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reviews', to='review.cluster')),
                ('of', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='again', to='review.review')),
                ('reserved_for', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('subject', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('is_open', models.GeneratedField(db_persist=True, expression=models.Q(('state__in', ('waiting', 'claimed', 'held', 'escalated'))), output_field=models.BooleanField())),
            ],
            options={
                'ordering': ('rank', 'received_at', 'id'),
                'indexes': [models.Index(fields=['state', 'rank', 'received_at', 'id'], name='review_queue'), models.Index(fields=['claimed_by', 'state'], name='review_claims'), models.Index(condition=models.Q(('is_open', True)), fields=['rank', 'received_at', 'id'], name='review_open'), models.Index(condition=models.Q(('of__isnull', False)), fields=['of'], name='review_of_another'), models.Index(fields=['state', 'decided_at'], name='review_decided')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state', 'claimed'), _negated=True), models.Q(('claimed_by__isnull', False), ('lease_until__isnull', False)), _connector='OR'), name='a_claim_has_a_person_and_an_end'), models.UniqueConstraint(condition=models.Q(models.Q(('state__in', ('decided', 'set-aside')), _negated=True), models.Q(('purpose__in', ('golden', 'reference')), _negated=True)), fields=('cluster', 'purpose'), name='one_open_review_of_a_purpose')],
            },
        ),
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('answers', models.JSONField(default=dict)),
                ('labels', models.JSONField(default=list)),
                ('note_sealed', models.BinaryField(null=True)),
                ('saved_at', models.DateTimeField(auto_now=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drafts', to='review.review')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('review', 'person'), name='one_draft_of_a_person')],
            },
        ),
        migrations.CreateModel(
            name='Assessment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField()),
                ('effective_at', models.DateTimeField()),
                ('standing', models.CharField(choices=[('pending', 'pending'), ('in-force', 'in-force'), ('undone', 'undone'), ('superseded', 'superseded'), ('trial', 'trial')], default='pending', max_length=12)),
                ('scheme', models.CharField(max_length=64)),
                ('scheme_version', models.PositiveIntegerField()),
                ('answers', models.JSONField()),
                ('note_sealed', models.BinaryField(null=True)),
                ('reason', models.CharField(blank=True, max_length=64)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assessments', to=settings.AUTH_USER_MODEL)),
                ('revises', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='review.assessment')),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assessments', to='review.cluster')),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assessments', to='review.review')),
            ],
            options={
                'ordering': ('-made_at',),
                'indexes': [models.Index(condition=models.Q(('standing', 'pending')), fields=['effective_at'], name='assessment_pending'), models.Index(fields=['-made_at', '-id'], name='assessment_newest')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('standing', 'in-force')), fields=('cluster',), name='one_assessment_in_force'), models.CheckConstraint(condition=models.Q(('effective_at__gte', models.F('made_at'))), name='an_assessment_can_be_undone')],
            },
        ),
        migrations.CreateModel(
            name='Shift',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('began_at', models.DateTimeField()),
                ('planned_minutes', models.PositiveSmallIntegerField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('working_since', models.DateTimeField()),
                ('break_began_at', models.DateTimeField(null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shifts', to=settings.AUTH_USER_MODEL)),
                ('session_hash', models.CharField(blank=True, max_length=64)),
            ],
            options={
                'ordering': ('-began_at',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('person',), name='one_open_shift')],
            },
        ),
        migrations.CreateModel(
            name='Exposure',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('level', models.CharField(choices=[('tile', 'tile'), ('lens', 'lens'), ('whole', 'whole')], max_length=8)),
                ('in_colour', models.BooleanField(default=False)),
                ('purpose', models.CharField(choices=[('decision', 'decision'), ('second-opinion', 'second-opinion'), ('sample', 'sample'), ('revision', 'revision'), ('double', 'double'), ('golden', 'golden'), ('disagreement', 'disagreement'), ('reference', 'reference')], max_length=16)),
                ('severity', models.PositiveSmallIntegerField()),
                ('issued_at', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('areas', models.JSONField(default=list)),
                ('session_hash', models.CharField(max_length=64)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exposures', to='evidence.asset')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exposures', to=settings.AUTH_USER_MODEL)),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exposures', to='review.review')),
                ('shift', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exposures', to='review.shift')),
                ('view', models.CharField(default='picture', max_length=40)),
            ],
            options={
                'ordering': ('-issued_at',),
                'indexes': [models.Index(fields=['person', '-issued_at'], name='exposure_person'), models.Index(fields=['asset', 'level'], name='exposure_asset')],
            },
        ),
        migrations.CreateModel(
            name='Skip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='skips', to='review.review')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('review', 'person'), name='one_skip_of_a_person')],
            },
        ),
        migrations.CreateModel(
            name='Coverage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.CharField(choices=[('assessed', 'assessed'), ('propagated', 'propagated')], max_length=12)),
                ('distance', models.PositiveSmallIntegerField(default=0)),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='coverage', to='review.assessment')),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='coverage', to='evidence.asset')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('assessment', 'asset'), name='one_coverage_of_a_file')],
            },
        ),
        migrations.CreateModel(
            name='Label',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scheme', models.CharField(max_length=64)),
                ('version', models.CharField(max_length=64)),
                ('code', models.CharField(max_length=64)),
                ('is_derived', models.BooleanField(default=False)),
                ('mapping', models.CharField(blank=True, max_length=64)),
                ('mapping_version', models.PositiveIntegerField(null=True)),
                ('source', models.CharField(blank=True, max_length=300)),
                ('confidence', models.CharField(blank=True, max_length=8)),
                ('lossy', models.BooleanField(default=False)),
                ('ended_at', models.DateTimeField(null=True)),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='labels', to='review.assessment')),
            ],
            options={
                'ordering': ('scheme', 'code', 'id'),
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('assessment', 'scheme', 'version', 'code'), name='one_live_label_of_a_code'), models.CheckConstraint(condition=models.Q(('is_derived', False), models.Q(models.Q(('mapping', ''), _negated=True), models.Q(('source', ''), _negated=True)), _connector='OR'), name='a_derived_label_cites_its_source')],
            },
        ),
        migrations.CreateModel(
            name='Never',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='nevers', to='evidence.asset')),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('person', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('person__isnull', False)), fields=('asset', 'person'), name='one_never_of_a_person'), models.UniqueConstraint(condition=models.Q(('person__isnull', True)), fields=('asset',), name='one_never_of_the_office')],
            },
        ),
        migrations.CreateModel(
            name='Outcome',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.CharField(choices=[('removed', 'removed'), ('safeguarded', 'safeguarded'), ('no-action', 'no-action'), ('unknown', 'unknown')], max_length=16)),
                ('source', models.CharField(max_length=64)),
                ('noted_by', models.CharField(max_length=128)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='outcomes', to='review.cluster')),
            ],
            options={
                'ordering': ('-at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='Reach',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ended_at', models.DateTimeField(null=True)),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reached', to='review.assessment')),
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='banks.proposal')),
                ('undone_by', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='banks.proposal')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='Appeal',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('handed_in_by', models.CharField(max_length=128)),
                ('due_at', models.DateTimeField()),
                ('matched_at', models.DateTimeField(null=True)),
                ('answered_at', models.DateTimeField(null=True)),
                ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='appeal', to='reports.report')),
            ],
            options={
                'ordering': ('due_at', 'id'),
                'indexes': [models.Index(condition=models.Q(('answered_at__isnull', True)), fields=['due_at', 'id'], name='appeal_open'), models.Index(fields=['-answered_at', '-id'], name='appeal_answered')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('answered_at__isnull', True), ('answered_by__isnull', True)), models.Q(('answered_at__isnull', False), ('answered_by__isnull', False)), _connector='OR'), name='a_person_answers_an_appeal')],
            },
        ),
        migrations.CreateModel(
            name='Contest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('outcome', models.CharField(blank=True, choices=[('upheld', 'upheld'), ('changed', 'changed')], max_length=8)),
                ('reason', models.CharField(blank=True, max_length=32)),
                ('decided_at', models.DateTimeField(null=True)),
                ('appeal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='review.appeal')),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='review.assessment')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ended_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='review.assessment')),
                ('review', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='review.review')),
            ],
            options={
                'ordering': ('id',),
                'indexes': [models.Index(condition=models.Q(('outcome', '')), fields=['assessment'], name='contest_open')],
                'constraints': [models.UniqueConstraint(fields=('appeal', 'assessment'), name='one_contest_of_an_assessment'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('outcome', '')), models.Q(models.Q(('outcome', ''), _negated=True), ('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='a_person_decides_a_contest')],
            },
        ),
        migrations.CreateModel(
            name='ToTell',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=32)),
                ('object_id', models.CharField(max_length=128)),
                ('reached_at', models.DateTimeField()),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('how', models.CharField(blank=True, max_length=16)),
                ('told_at', models.DateTimeField(null=True)),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='to_tell', to='review.assessment')),
                ('told_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('id',),
                'indexes': [models.Index(condition=models.Q(('told_at__isnull', True)), fields=['id'], name='to_tell_open')],
                'constraints': [models.UniqueConstraint(fields=('assessment', 'kind', 'object_id'), name='each_is_told_once'), models.CheckConstraint(condition=models.Q(models.Q(('how', ''), ('told_at__isnull', True), ('told_by__isnull', True)), models.Q(models.Q(('how', ''), _negated=True), ('told_at__isnull', False), ('told_by__isnull', False)), _connector='OR'), name='a_person_tells')],
            },
        ),
        migrations.CreateModel(
            name='DigestVisit',
            fields=[
                ('person', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('at', models.DateTimeField()),
                ('before_at', models.DateTimeField(null=True)),
            ],
        ),
    ]
