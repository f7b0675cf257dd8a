"""What an assessment led to: proposals for banks, outcomes that somebody told."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('banks', '0003_two_people_for_more_and_changes_from_outside'),
        ('review', '0001_initial'),
    ]

    operations = [
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
    ]
