"""The journal: the chain, which nobody updates or deletes; anchors; duties."""

from django.db import migrations, models

from leadline.workbench.journal.triggers import append_only


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

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
                'indexes': [models.Index(fields=['object_kind', 'object_id', 'line'], name='journal_lin_object__1b777a_idx'), models.Index(fields=['actor', 'line'], name='journal_lin_actor_754941_idx'), models.Index(fields=['act', 'line'], name='journal_lin_act_e44058_idx')],
            },
        ),
        append_only('journal_line'),
    ]
