"""Clusters, reviews, exposures, shifts, assessments."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_initial'),
        ('evidence', '0001_initial'),
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
                ('purpose', models.CharField(choices=[('decision', 'decision'), ('second-opinion', 'second-opinion'), ('sample', 'sample'), ('revision', 'revision')], default='decision', max_length=16)),
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
            ],
            options={
                'ordering': ('rank', 'received_at', 'id'),
                'indexes': [
                    models.Index(fields=['state', 'rank', 'received_at', 'id'], name='review_queue'),
                    models.Index(fields=['claimed_by', 'state'], name='review_claims'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('state__in', ('decided', 'set-aside')), _negated=True), fields=('cluster', 'purpose'), name='one_open_review_of_a_purpose'),
                    models.CheckConstraint(condition=models.Q(models.Q(('state', 'claimed'), _negated=True), models.Q(('claimed_by__isnull', False), ('lease_until__isnull', False)), _connector='OR'), name='a_claim_has_a_person_and_an_end'),
                ],
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
                'constraints': [
                    models.UniqueConstraint(fields=('review', 'person'), name='one_draft_of_a_person'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Assessment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField()),
                ('effective_at', models.DateTimeField()),
                ('standing', models.CharField(choices=[('pending', 'pending'), ('in-force', 'in-force'), ('undone', 'undone'), ('superseded', 'superseded')], default='pending', max_length=12)),
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
                'indexes': [
                    models.Index(condition=models.Q(('standing', 'pending')), fields=['effective_at'], name='assessment_pending'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('standing', 'in-force')), fields=('cluster',), name='one_assessment_in_force'),
                    models.CheckConstraint(condition=models.Q(('effective_at__gte', models.F('made_at'))), name='an_assessment_can_be_undone'),
                ],
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
            ],
            options={
                'ordering': ('-began_at',),
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('person',), name='one_open_shift'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Exposure',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('level', models.CharField(choices=[('tile', 'tile'), ('lens', 'lens'), ('whole', 'whole')], max_length=8)),
                ('in_colour', models.BooleanField(default=False)),
                ('purpose', models.CharField(choices=[('decision', 'decision'), ('second-opinion', 'second-opinion'), ('sample', 'sample'), ('revision', 'revision')], max_length=16)),
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
            ],
            options={
                'ordering': ('-issued_at',),
                'indexes': [
                    models.Index(fields=['person', '-issued_at'], name='exposure_person'),
                    models.Index(fields=['asset', 'level'], name='exposure_asset'),
                ],
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
                'constraints': [
                    models.UniqueConstraint(fields=('review', 'person'), name='one_skip_of_a_person'),
                ],
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
    ]
