"""Golden sets and their answers, who was handed what, pairs of answers."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables


class Migration(Tables):

    dependencies = [
        ('evidence', '0001_tables'),
        ('review', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GoldenSet',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80, unique=True)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='GoldenItem',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('put_in_at', models.DateTimeField(auto_now_add=True)),
                ('agreed_at', models.DateTimeField(null=True)),
                ('withdrawn_at', models.DateTimeField(null=True)),
                ('asked', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='golden_items', to='evidence.asset')),
                ('put_in_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('set', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='quality.goldenset')),
            ],
            options={
                'ordering': ('-put_in_at', 'id'),
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('withdrawn_at__isnull', True)), fields=('asset',), name='one_live_item_of_a_file'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Handout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('drawn_by', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='drew', to='review.review')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='handouts', to='quality.goldenitem')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('review', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='handout', to='review.review')),
            ],
            options={
                'ordering': ('-at', '-id'),
                'constraints': [
                    models.UniqueConstraint(fields=('asset', 'person'), name='never_the_same_twice_to_a_person'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Pair',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('scheme', models.CharField(max_length=64)),
                ('scheme_version', models.PositiveIntegerField()),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('differs', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('same', 'same'), ('open', 'open'), ('confirmed', 'confirmed'), ('revised', 'revised'), ('overtaken', 'overtaken')], max_length=12)),
                ('resolved_at', models.DateTimeField(null=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset')),
                ('first', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pairs', to='review.assessment')),
                ('resolution', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='review.assessment')),
                ('resolved_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('review', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='disagreement', to='review.review')),
                ('second', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='pair', to='review.assessment')),
            ],
            options={
                'ordering': ('-made_at', 'id'),
                'indexes': [
                    models.Index(fields=['state', '-made_at', 'id'], name='pair_queue'),
                    models.Index(fields=['scheme', 'scheme_version', 'made_at'], name='pair_scheme'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('first', models.F('second')), _negated=True), name='a_pair_is_of_two'),
                    models.CheckConstraint(condition=models.Q(models.Q(('state__in', ('confirmed', 'revised')), _negated=True), models.Q(('resolved_at__isnull', False), ('resolved_by__isnull', False)), _connector='OR'), name='a_person_settles_a_pair'),
                    models.CheckConstraint(condition=models.Q(models.Q(('state', 'revised'), _negated=True), ('resolution__isnull', False), _connector='OR'), name='a_revised_pair_has_its_revision'),
                ],
            },
        ),
        migrations.CreateModel(
            name='GoldenAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('scheme', models.CharField(max_length=64)),
                ('scheme_version', models.PositiveIntegerField()),
                ('answers', models.JSONField()),
                ('is_agreed', models.BooleanField(default=False)),
                ('is_alone', models.BooleanField(default=False)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='answers', to='quality.goldenitem')),
            ],
            options={
                'ordering': ('-at', '-id'),
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_agreed', True)), fields=('item', 'by'), name='one_agreed_answer_of_a_person')],
            },
        ),
    ]
