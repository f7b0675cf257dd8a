"""How the tables of sharing came to be."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from leadline.workbench.journal.migrating import Tables
from leadline.workbench.journal.triggers import frozen_columns


class Migration(Tables):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Partner',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100, unique=True)),
                ('source', models.CharField(max_length=61, unique=True)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='Agreement',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('tlp', models.CharField(choices=[('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=12)),
                ('pap', models.CharField(choices=[('red', 'red'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=8)),
                ('kinds', models.JSONField(default=list)),
                ('purposes', models.JSONField(default=list)),
                ('onward', models.BooleanField(default=False)),
                ('reach', models.CharField(max_length=64)),
                ('valid_from', models.DateField()),
                ('valid_until', models.DateField()),
                ('document_sealed', models.BinaryField()),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('partner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='agreements', to='sharing.partner')),
            ],
            options={
                'ordering': ('-made_at', '-id'),
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('partner',), name='one_agreement_a_partner'), models.CheckConstraint(condition=models.Q(('valid_from__lte', models.F('valid_until'))), name='an_agreement_has_a_term'), models.CheckConstraint(condition=models.Q(('tlp', 'red'), _negated=True), name='no_agreement_on_red')],
            },
        ),
        migrations.CreateModel(
            name='Share',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('act', models.CharField(choices=[('submit', 'submit'), ('withdraw', 'withdraw'), ('affirm', 'affirm'), ('dispute', 'dispute')], max_length=10)),
                ('bank', models.CharField(max_length=64)),
                ('purpose', models.CharField(choices=[('matching', 'recognising and removing files'), ('victim-identification', 'identifying victims'), ('law-enforcement', 'law enforcement'), ('list-quality', 'the quality of their list'), ('research', 'research')], max_length=32)),
                ('reason', models.CharField(choices=[('agreed-exchange', 'agreed exchange'), ('partner-asked', 'the partner asked'), ('own-assessment', 'assessed by us'), ('court-order', "a court's order"), ('correction', 'corrects what was sent before')], max_length=32)),
                ('note_sealed', models.BinaryField(null=True)),
                ('algorithm', models.CharField(blank=True, max_length=32)),
                ('codes', models.JSONField(default=list)),
                ('digest', models.CharField(max_length=64)),
                ('passing', models.PositiveIntegerField()),
                ('stopped', models.PositiveIntegerField()),
                ('proposer', models.CharField(max_length=128)),
                ('proposed_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('state', models.CharField(choices=[('proposed', 'proposed'), ('approved', 'approved'), ('sending', 'sending'), ('unclear', 'unclear'), ('failed', 'failed'), ('sent', 'sent'), ('refused', 'refused'), ('withdrawn', 'withdrawn'), ('expired', 'expired')], default='proposed', max_length=10)),
                ('decided_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('ended_for', models.CharField(blank=True, max_length=40)),
                ('sender', models.CharField(blank=True, max_length=32)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('next_try_at', models.DateTimeField(null=True)),
                ('failure', models.CharField(blank=True, max_length=40)),
                ('agreement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='sharing.agreement')),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('partner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='sharing.partner')),
                ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-proposed_at', '-id'),
                'indexes': [models.Index(fields=['-proposed_at', '-id'], name='share_proposed'), models.Index(fields=['state', 'next_try_at'], name='share_state')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['proposed', 'refused', 'withdrawn', 'expired']), models.Q(('decided_by__isnull', False), models.Q(('decided_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='two_people_let_it_leave')],
            },
        ),
        migrations.CreateModel(
            name='ShareItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('entry', models.BigIntegerField()),
                ('rule', models.CharField(choices=[('agreed', 'passes: labels, kind and purpose are agreed'), ('was-sent', 'passes: they have it from us'), ('absent', 'no such entry'), ('suspended', 'suspended here'), ('tlp-red', 'TLP:RED never leaves'), ('tlp-above', 'its TLP is stricter than agreed'), ('pap-above', 'its PAP is stricter than agreed'), ('pap-unknown', 'its PAP cannot be read'), ('kind', 'its kind is not agreed'), ('unconfirmed', 'two people have not confirmed it'), ('theirs', 'they gave it to us'), ('not-theirs', 'not an entry of their list'), ('others', 'another organisation gave it to us'), ('sent-before', 'sent before'), ('never-sent', 'they do not have it from us'), ('under-way', 'in another share that has not ended'), ('changed', 'changed since it was approved'), ('not-sent', 'the share ended before')], max_length=24)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('sending', 'sending'), ('taken', 'taken'), ('refused', 'refused'), ('unclear', 'unclear'), ('stopped', 'stopped')], max_length=10)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('left_sealed', models.BinaryField(null=True)),
                ('remote_id', models.CharField(blank=True, max_length=200)),
                ('failure', models.CharField(blank=True, max_length=40)),
                ('at', models.DateTimeField(null=True)),
                ('share', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='sharing.share')),
            ],
            options={
                'ordering': ('id',),
                'indexes': [models.Index(fields=['share', 'state'], name='share_item_state'), models.Index(fields=['entry', 'state'], name='share_item_entry')],
                'constraints': [models.UniqueConstraint(fields=('share', 'entry'), name='an_entry_once_a_share')],
            },
        ),
        # Not the sealed text: a change of the key writes it anew under the new one.
        frozen_columns("sharing_partner", "id", "name", "source"),
        frozen_columns(
            "sharing_agreement",
            "id",
            "partner_id",
            "tlp",
            "pap",
            "kinds",
            "purposes",
            "onward",
            "reach",
            "valid_from",
            "valid_until",
            "made_by_id",
            "made_at",
        ),
        frozen_columns(
            "sharing_share",
            "id",
            "partner_id",
            "agreement_id",
            "act",
            "bank",
            "purpose",
            "reason",
            "algorithm",
            "codes",
            "digest",
            "passing",
            "stopped",
            "proposed_by_id",
            "proposer",
            "proposed_at",
        ),
        frozen_columns("sharing_shareitem", "id", "share_id", "entry", "digest"),
    ]
