"""The journal: the chain, which nobody updates or deletes; anchors; duties; clocks."""

from django.db import migrations, models

from leadline.custody.chain import GENESIS
from leadline.workbench.journal.migrating import Tables
from leadline.workbench.journal.triggers import append_only, frozen_columns, grows_at_its_end, no_replace


class Migration(Tables):

    replaces = [
        ('journal', '0001_initial'),
        ('journal', '0002_no_row_takes_anothers_place'),
        ('journal', '0003_duties_have_a_holder_and_clocks_are_watched'),
        ('journal', '0004_lines_are_found_by_their_object'),
        ('journal', '0005_duties_know_since_when_their_work_waits'),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('head', models.CharField(max_length=64)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('statement', models.TextField()),
                ('stamps', models.JSONField(default=list)),
                ('left_by', models.JSONField(default=list)),
            ],
            options={
                'ordering': ('-line',),
            },
        ),
        migrations.CreateModel(
            name='Duty',
            fields=[
                ('name', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('due_at', models.DateTimeField()),
                ('begun_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('failure', models.CharField(blank=True, max_length=80)),
                ('held_by', models.CharField(blank=True, default='', max_length=80)),
                ('waits_since', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Line',
            fields=[
                ('line', models.BigIntegerField(primary_key=True, serialize=False)),
                ('at', models.CharField(max_length=24)),
                ('actor', models.CharField(max_length=128)),
                ('act', models.CharField(max_length=64)),
                ('object_kind', models.CharField(max_length=64)),
                ('object_id', models.CharField(max_length=128)),
                ('reason', models.CharField(max_length=64)),
                ('details', models.TextField()),
                ('previous_hash', models.CharField(max_length=64, unique=True)),
                ('salt', models.CharField(max_length=32)),
                ('hash', models.CharField(max_length=64, unique=True)),
            ],
            options={
                'ordering': ('line',),
                'indexes': [models.Index(fields=['actor', 'line'], name='journal_lin_actor_754941_idx'), models.Index(fields=['act', 'line'], name='journal_lin_act_e44058_idx'), models.Index(fields=['object_id', 'line'], name='journal_lin_object__00debf_idx')],
            },
        ),
        migrations.CreateModel(
            name='Clock',
            fields=[
                ('machine', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('trusted_at', models.DateTimeField()),
                ('boot', models.CharField(max_length=40)),
                ('up_s', models.FloatField()),
                ('doubt', models.CharField(blank=True, max_length=10)),
            ],
        ),
        append_only('journal_line'),
        no_replace('journal_line', 'line', 'hash', 'previous_hash'),
        grows_at_its_end('journal_line', GENESIS),
        no_replace('journal_anchor', 'id'),
        frozen_columns('journal_anchor', 'id', 'line', 'head', 'statement'),
    ]
