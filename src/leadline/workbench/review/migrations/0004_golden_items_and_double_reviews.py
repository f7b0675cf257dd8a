"""Reviews for the sake of quality: of one file, for one person, of four more purposes. Trials are no decisions."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

PURPOSES = [
    ('decision', 'decision'), ('second-opinion', 'second-opinion'), ('sample', 'sample'), ('revision', 'revision'),
    ('double', 'double'), ('golden', 'golden'), ('disagreement', 'disagreement'), ('reference', 'reference'),
]


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('evidence', '0001_initial'),
        ('review', '0003_shifts_belong_to_a_session'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='review',
            name='one_open_review_of_a_purpose',
        ),
        migrations.AddField(
            model_name='review',
            name='reserved_for',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='review',
            name='subject',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='evidence.asset'),
        ),
        migrations.AlterField(
            model_name='assessment',
            name='standing',
            field=models.CharField(choices=[('pending', 'pending'), ('in-force', 'in-force'), ('undone', 'undone'), ('superseded', 'superseded'), ('trial', 'trial')], default='pending', max_length=12),
        ),
        migrations.AlterField(
            model_name='exposure',
            name='purpose',
            field=models.CharField(choices=PURPOSES, max_length=16),
        ),
        migrations.AlterField(
            model_name='review',
            name='purpose',
            field=models.CharField(choices=PURPOSES, default='decision', max_length=16),
        ),
        migrations.AddIndex(
            model_name='assessment',
            index=models.Index(fields=['-made_at', '-id'], name='assessment_newest'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('state__in', ('decided', 'set-aside')), _negated=True), models.Q(('purpose__in', ('golden', 'reference')), _negated=True)), fields=('cluster', 'purpose'), name='one_open_review_of_a_purpose'),
        ),
    ]
