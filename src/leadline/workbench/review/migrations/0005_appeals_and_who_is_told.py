"""Appeals, what they contest, and who is to be told after a revision; keys of single letters can be switched off."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reports', '0004_appeals_and_countries'),
        ('review', '0004_golden_items_and_double_reviews'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='wish',
            name='single_keys',
            field=models.BooleanField(default=True),
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
            },
        ),
        migrations.AddIndex(
            model_name='appeal',
            index=models.Index(condition=models.Q(('answered_at__isnull', True)), fields=['due_at', 'id'], name='appeal_open'),
        ),
        migrations.AddIndex(
            model_name='appeal',
            index=models.Index(fields=['-answered_at', '-id'], name='appeal_answered'),
        ),
        migrations.AddConstraint(
            model_name='appeal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answered_at__isnull', True), ('answered_by__isnull', True)), models.Q(('answered_at__isnull', False), ('answered_by__isnull', False)), _connector='OR'), name='a_person_answers_an_appeal'),
        ),
        migrations.AddIndex(
            model_name='contest',
            index=models.Index(condition=models.Q(('outcome', '')), fields=['assessment'], name='contest_open'),
        ),
        migrations.AddConstraint(
            model_name='contest',
            constraint=models.UniqueConstraint(fields=('appeal', 'assessment'), name='one_contest_of_an_assessment'),
        ),
        migrations.AddConstraint(
            model_name='contest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('outcome', '')), models.Q(models.Q(('outcome', ''), _negated=True), ('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='a_person_decides_a_contest'),
        ),
        migrations.AddIndex(
            model_name='totell',
            index=models.Index(condition=models.Q(('told_at__isnull', True)), fields=['id'], name='to_tell_open'),
        ),
        migrations.AddConstraint(
            model_name='totell',
            constraint=models.UniqueConstraint(fields=('assessment', 'kind', 'object_id'), name='each_is_told_once'),
        ),
        migrations.AddConstraint(
            model_name='totell',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('how', ''), ('told_at__isnull', True), ('told_by__isnull', True)), models.Q(models.Q(('how', ''), _negated=True), ('told_at__isnull', False), ('told_by__isnull', False)), _connector='OR'), name='a_person_tells'),
        ),
    ]
