"""Webhooks: endpoints, deliveries, how far the journal was read; requests done before."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables


class Migration(Tables):

    replaces = [
        ('hooks', '0001_initial'),
        ('hooks', '0002_secrets_that_outlive_sessions'),
    ]

    dependencies = [
        ('accounts', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Position',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Endpoint',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=500)),
                ('events', models.JSONField(default=list)),
                ('generation', models.PositiveIntegerField(default=1)),
                ('renewed_at', models.DateTimeField(auto_now_add=True)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('ended_for', models.CharField(blank=True, max_length=40)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='DoneRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_hash', models.CharField(max_length=64)),
                ('request_hash', models.CharField(max_length=64)),
                ('begun_at', models.DateTimeField(auto_now_add=True)),
                ('status', models.PositiveIntegerField(null=True)),
                ('answer', models.TextField(blank=True)),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.apikey')),
            ],
            options={
                'indexes': [models.Index(fields=['begun_at'], name='hooks_doner_begun_a_d2a671_idx')],
                'constraints': [models.UniqueConstraint(fields=('key', 'token_hash'), name='a_token_once_a_key')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('event', models.CharField(max_length=64)),
                ('act', models.CharField(max_length=64)),
                ('body', models.CharField(max_length=600)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('delivered', 'delivered'), ('failed', 'failed')], default='waiting', max_length=10)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('next_try_at', models.DateTimeField(null=True)),
                ('last_try_at', models.DateTimeField(null=True)),
                ('last_status', models.PositiveIntegerField(default=0)),
                ('last_failure', models.CharField(blank=True, max_length=40)),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='hooks.endpoint')),
            ],
            options={
                'indexes': [models.Index(fields=['state', 'next_try_at'], name='hooks_deliv_state_97acb9_idx'), models.Index(fields=['endpoint', '-id'], name='hooks_deliv_endpoin_90a30e_idx')],
                'constraints': [models.UniqueConstraint(fields=('endpoint', 'event'), name='an_event_once_an_endpoint')],
            },
        ),
    ]
